import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SEGMENTS } from '../../../../cli/graph.js';
import { agent, chat, type Pipeline, pipeline, pipelineTool, tool } from '../../../../pipelines/index.js';
import { explain, explanationText, mermaid, planFindings, svg } from '../../../../pipelines/inspect/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { seal } from '../../../../pipelines/plan/hash.js';
import type { PlanBody } from '../../../../pipelines/plan/index.js';
import { place } from '../../../../placement/place.js';
import { poolOf } from '../../../support/runs.js';

const refund = tool({
  name: 'refund',
  description: 'Pays an order back',
  input: z.object({ order: z.string() }),
  approval: { timeout: '1m' },
  onFailure: 'fail',
  run: ({ order }) => order,
});
const sum = pipeline(
  'sum-up',
  { description: 'A summary', input: z.object({ text: z.string() }), deadline: '1m' },
  ({ input, stage }) => ({ text: stage('say', chat({ model: 'assistant' }), { prompt: input.text }).text }),
);
const desk = pipeline('desk', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
  const use = agent({ model: 'assistant', tools: [refund, pipelineTool(sum)], maxTurns: 3 });
  return { text: stage('answer', use, { prompt: input.q }, { retry: { attempts: 2 } }).text };
}) as unknown as Pipeline;

describe('a pipeline with an agent', () => {
  it('is explained: its policy is that of its model calls, and each tool has its own', () => {
    const explained = explain(desk, SEGMENTS, () => ({ connector: 'openai', device: 'gpu0' }));
    const [stage] = explained.stages;
    expect(stage?.policy.find(({ option }) => option === 'retry.attempts')).toMatchObject({ value: 2, from: 'author' });
    // Three turns, two attempts each.
    expect(stage?.worst).toEqual({ calls: 6, ms: 300_000 });
    const text = explanationText(explained);
    expect(text).toContain(
      'tool refund for assistant: code · desk/refund, 3 attempts of 30s, 2m in all, a person decides',
    );
    expect(text).toContain('its failure ends the agent');
    expect(text).toContain('a run of sum-up, 1 attempt of 1m');
    expect(text).not.toContain('planVersion');
  });

  it('is drawn with the names of its tools', () => {
    expect(mermaid(desk.plan, SEGMENTS)).toContain('tools: refund (a person approves), sum-up');
    expect(svg(desk.plan, SEGMENTS)).toContain('tools: refund (a person approves), sum-up');
  });

  it('is placed with a row for each tool, and for each stage of a tool’s pipeline', () => {
    const placement = place(desk.plan, poolOf, 'queue');
    expect(placement).toMatchObject({
      answer: { connector: 'openai', device: 'cpu0', queue: 'queue' },
      'answer/refund': { connector: 'code', device: 'worker' },
      'answer/sum-up/say': { connector: 'openai' },
    });
  });

  it('needs a pool of chat whose server knows tools', () => {
    const without = (model: string) =>
      ({ ...poolOf(model), capabilities: new Set<string>() }) as ReturnType<typeof poolOf>;
    expect(() => place(desk.plan, without, 'queue')).toThrow(expect.objectContaining({ code: 'CAPABILITY_MISSING' }));
    const lost = JSON.parse(JSON.stringify(desk.plan).replaceAll('"assistant"', '"lost"')) as typeof desk.plan;
    expect(() => place(lost, poolOf, 'queue')).toThrow(expect.objectContaining({ code: 'MODEL_NOT_CONFIGURED' }));
  });

  it('with a budget of cost needs a price, its own or its pool’s', () => {
    const made = (budget: object) =>
      pipeline('priced', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
        text: stage('answer', agent({ model: 'assistant', budget }), { prompt: input.q }).text,
      })).plan;
    const price = { input: 1, output: 2 };
    expect(() => place(made({ cost: 1 }), poolOf, 'queue')).toThrow(
      expect.objectContaining({ code: 'CAPABILITY_MISSING', message: expect.stringContaining('a million tokens') }),
    );
    expect(place(made({ cost: 1, price }), poolOf, 'queue').answer?.price).toBeUndefined();
    const stating = (model: string) => {
      const pool = poolOf(model);
      return pool && { ...pool, price };
    };
    expect(place(made({ cost: 1 }), stating, 'queue')).toMatchObject({ answer: { price } });
  });

  it('that comes as a file is looked at down to its tools', () => {
    const changed = (change: (options: JsonObject & { tools: JsonObject[] }) => void) => {
      const { version: _, ...plan } = structuredClone(desk.plan) as unknown as PlanBody & { version: string };
      change((plan.stages[0] as unknown as { with: JsonObject & { tools: JsonObject[] } }).with);
      return planFindings(seal(plan));
    };
    expect(changed(() => undefined)).toEqual([]);
    expect(changed((options) => Object.assign(options, { maxTurns: 0 }))).toMatchObject([
      { stage: 'answer', message: expect.stringContaining('with.maxTurns') },
    ]);
    expect(changed(({ tools }) => Object.assign(tools[0] as object, { onFailure: 'ignore' }))).toMatchObject([
      { stage: 'answer', message: expect.stringContaining('onFailure') },
    ]);
    const inner = changed(({ tools }) => Object.assign((tools[1] as { plan: object }).plan, { deadlineMs: 0 }));
    expect(inner).toMatchObject([{ stage: 'answer', message: expect.stringContaining('deadlineMs') }]);
    expect(changed((options) => Object.assign(options, { tools: [{ by: 'magic' }] }))).toHaveLength(1);
  });
});
