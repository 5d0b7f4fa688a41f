import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  activity,
  agent,
  audio,
  pipeline,
  type StagePlan,
  stageTool,
  tensor,
  workflow,
} from '../../../pipelines/index.js';
import { explain, explanationText, svg, warningsOf } from '../../../pipelines/inspect/index.js';
import { planFindings } from '../../../pipelines/inspect/plan-findings.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { readSchema } from '../../../pipelines/json-schema/index.js';
import { seal } from '../../../pipelines/plan/hash.js';
import { agentOf } from '../../../pipelines/plan/index.js';
import { groupsOf, isInline, isOneSegment } from '../../../pipelines/plan/segments.js';
import { place } from '../../../placement/place.js';

const denoise = activity({
  queue: 'python',
  type: 'denoise',
  input: z.object({ speech: audio({ rate: 16_000 }), gain: z.number().default(1), note: z.string().optional() }),
  output: z.object({ speech: audio() }),
  heartbeat: '5s',
});
const score = workflow({
  queue: 'risk',
  type: 'ScoreCustomer',
  input: z.object({ customer: z.string(), amount: z.number() }),
  output: z.number(),
  args: ['customer', 'amount'],
});
const both = pipeline(
  'both',
  { input: z.object({ speech: audio({ rate: 16_000 }), customer: z.string() }) },
  ({ input, stage }) => {
    const clean = stage('clean', denoise, { speech: input.speech, gain: 2 }, { optional: true, patience: '2s' });
    const points = stage('points', score, { customer: input.customer, amount: 3 });
    return { clean, points };
  },
);
const [clean, points] = both.plan.stages as readonly [StagePlan, StagePlan];

describe('stages that other workers serve', () => {
  it('have in the plan what a call takes: type, queue, arguments and JSON Schemas', () => {
    expect(clean).toMatchObject({ kind: 'activity', model: 'denoise', with: { queue: 'python', heartbeatMs: 5_000 } });
    expect(clean.with).toMatchObject({
      input: {
        type: 'object',
        properties: {
          speech: { type: 'object', media: 'audio', properties: { sampleRate: { const: 16_000 } } },
          gain: { type: 'number', default: 1 },
        },
        required: ['speech'],
      },
    });
    expect(points).toMatchObject({
      kind: 'workflow',
      model: 'ScoreCustomer',
      with: { queue: 'risk', output: { type: 'number' }, args: ['customer', 'amount'] },
    });
    expect(planFindings(both.plan)).toEqual([]);
  });

  it('are refused in a plan whose options a call could not be made with', () => {
    const { version: _, ...plan } = both.plan;
    const broken = seal({ ...plan, stages: [{ ...clean, with: { ...clean.with, queue: 3 } } as never, points] });
    expect(planFindings(broken)).toMatchObject([{ stage: 'clean', message: expect.stringContaining('queue') }]);
  });

  it('have policies of their own: no jitter, a workflow once, patience only for an activity', () => {
    expect(clean.policy).toMatchObject({ retry: { attempts: 6, jitter: 0 }, patienceMs: 2_000, execution: 'queued' });
    expect(points.policy).toMatchObject({ retry: { attempts: 1 }, timeout: { attemptMs: 300_000 } });
    expect(points.policy).not.toHaveProperty('patienceMs');
  });

  it('get a new version of the pipeline with a new version of theirs', () => {
    const versionOf = (version?: string) => {
      const use = activity({
        queue: 'q',
        type: 't',
        input: z.object({}),
        output: z.null(),
        ...(version && { version }),
      });
      return pipeline('p', { input: z.object({}) }, ({ stage }) => ({ x: stage('a', use, {}) })).plan.version;
    };
    expect(new Set([versionOf(), versionOf('1'), versionOf('2')]).size).toBe(3);
  });

  it('are never part of a segment, also where a plan says so', () => {
    const inline = { ...points, policy: { ...points.policy, execution: 'inline' as const } };
    expect(isInline(inline)).toBe(false);
    expect(isOneSegment({ stages: [inline], output: null })).toBe(false);
    expect(groupsOf({ stages: [inline, { ...clean, id: 'b' }], output: null })).toHaveLength(2);
  });

  it('are placed on their queue, which is not Millrace’s own', () => {
    expect(place(both.plan, () => undefined, 'millrace')).toEqual({
      clean: { connector: 'temporal', device: 'python', queue: 'python' },
      points: { connector: 'temporal', device: 'risk', queue: 'risk' },
    });
    expect(() => place(both.plan, () => undefined, 'python')).toThrow(/clean.model.*"python".*own workers/);
    // A pipeline of the same deployment is a workflow of its queue.
    expect(place(both.plan, () => undefined, 'risk')).toHaveProperty('points');
  });

  it('are explained, drawn, and known to have effects', () => {
    const segments = { groupsOf, isInline };
    const text = explanationText(explain(both, segments, () => ({ connector: 'temporal', device: 'python' })));
    expect(text).toContain('denoise (temporal @python) {"queue":"python","heartbeatMs":5000}');
    expect(text).not.toContain('properties');
    expect(svg(both.plan, segments)).toContain('activity · denoise · queue python');
    const unused = pipeline('p', { input: z.object({}) }, ({ stage }) => {
      stage('a', activity({ queue: 'q', type: 't', input: z.object({}), output: z.null() }), {});
      return {};
    });
    expect(warningsOf(unused)).toEqual([]);
  });

  it('are tools of agents, called once unless the author says otherwise', () => {
    const tool = stageTool({ name: 'score', description: 'Scores', use: score });
    const use = agent({ model: 'm', tools: [tool] });
    expect(agentOf(use).tools).toMatchObject([
      { kind: 'workflow', model: 'ScoreCustomer', policy: { retry: { attempts: 1, jitter: 0 } } },
    ]);
    const plan = pipeline('p', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
      text: stage('a', use, { prompt: input.q }).text,
    })).plan;
    const pool = { connector: 'openai', devices: ['cpu0'], kind: 'chat', capabilities: new Set(['tools']) };
    const rows = Object.values(place(plan, () => pool, 'millrace'));
    expect(rows).toContainEqual({ connector: 'temporal', device: 'risk', queue: 'risk' });
    expect(() => stageTool({ name: 's', description: 'd', use: score, retry: { on: ['INTERNAL' as never] } })).toThrow(
      /retry.on/,
    );
  });

  it('check media and tensors by their JSON Schema', () => {
    const speech = {
      uri: `artifact://acme/${'a'.repeat(64)}`,
      sha256: 'a'.repeat(64),
      mime: 'audio/wav',
      bytes: 10,
      sampleRate: 16_000,
    };
    const check = readSchema(clean.with.input as JsonObject);
    expect(check.fit({ speech })).toEqual({ data: { speech, gain: 1 } });
    const told = (value: JsonObject) => {
      const found = check.fit({ speech: { ...speech, ...value } });
      return 'fields' in found ? found.fields.map(({ field }) => field) : [];
    };
    expect(told({ sampleRate: 44_100 })).toEqual(['speech.sampleRate']);
    expect(told({ mime: 'image/png' })).toEqual(['speech.mime']);
    expect(told({ uri: 'file:///etc/passwd' })).toEqual(['speech.uri']);
    const rows = tensor({ dtype: 'FP32', shape: [1, 2] });
    const use = activity({ queue: 'q', type: 't', input: z.object({ rows }), output: z.object({ rows }) });
    const fits = (dtype: string) =>
      'data' in readSchema(use.with.output as JsonObject).fit({ rows: { dtype, shape: [1, 2], data: [1, 2] } });
    expect([fits('FP32'), fits('INT8')]).toEqual([true, false]);
  });
});
