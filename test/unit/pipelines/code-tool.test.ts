import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, type CodeToolOptions, codeTool, pipeline, tool } from '../../../pipelines/index.js';
import { hasEffects } from '../../../pipelines/plan/effects.js';
import { agentOf, isStage, type StageTool } from '../../../pipelines/plan/index.js';
import { planSchema } from '../../../pipelines/plan/plan-schema.js';
import { traitsOf } from '../../../pipelines/stages/index.js';
import type { Tool } from '../../../pipelines/tools/tool.js';

const withTools = (...tools: Tool[]) =>
  pipeline('p', { input: z.object({ prompt: z.string() }) }, ({ input, stage }) => ({
    text: stage('a', agent({ model: 'm', tools }), { prompt: input.prompt }).text,
  }));
const planOf = (options: CodeToolOptions): StageTool => codeTool(options).plan as StageTool;

describe('a tool that runs code', () => {
  it('is a call of a sandbox, with the language and the limits', () => {
    const plan = planOf({ sandbox: 'scripts', limits: { time: '5s', memoryBytes: 1_000_000, outputCharacters: 900 } });
    expect(plan).toMatchObject({
      name: 'run_code',
      by: 'stage',
      kind: 'sandbox',
      model: 'scripts',
      with: { language: 'javascript', timeMs: 5_000, memoryBytes: 1_000_000, outputCharacters: 900 },
      policy: { retry: { attempts: 3 }, timeout: { attemptMs: 30_000, totalMs: 120_000 } },
    });
    expect(plan.effects).toBeUndefined();
    expect(plan.schema).toMatchObject({ properties: { code: { type: 'string' } }, required: ['code'] });
    expect(Object.keys(plan.schema.properties as object)).toEqual(['code']);
  });

  it('tells the model what there is, for each language', () => {
    expect(planOf({ sandbox: 's' }).description).toMatch(/JavaScript.*no network/);
    expect(planOf({ sandbox: 's', files: true }).description).toMatch(/readFile\(name\)/);
    expect(planOf({ sandbox: 's', language: 'python' }).description).toMatch(/a program in python/);
    expect(planOf({ sandbox: 's', description: 'Computes' }).description).toBe('Computes');
  });

  it('takes addresses of artifacts with files', () => {
    const { schema, with: options } = planOf({ sandbox: 's', files: true });
    expect(options).toMatchObject({ files: true });
    expect(Object.keys(schema.properties as object)).toEqual(['code', 'files']);
    expect(schema.required).toEqual(['code']);
  });

  it('has an attempt that is longer than the code may run', () => {
    const { policy } = planOf({ sandbox: 's', limits: { time: '3m' } });
    expect(policy.timeout).toMatchObject({ attemptMs: 200_000, totalMs: 200_000 });
    // Whatever the operator allows.
    expect(planOf({ sandbox: 's' }).with).toMatchObject({ timeMs: 10_000 });
  });

  it('has no effects, unless its author says otherwise: then it is called once', () => {
    expect(hasEffects(withTools(codeTool({ sandbox: 's' })).plan)).toBe(false);
    expect(hasEffects(withTools(codeTool({ sandbox: 's', effects: 'possible' })).plan)).toBe(false);
    expect(hasEffects(withTools(codeTool({ sandbox: 's', effects: 'intended' })).plan)).toBe(true);
    const plan = planOf({ sandbox: 's', effects: 'possible' });
    expect(plan).toMatchObject({ effects: 'possible', policy: { retry: { attempts: 1 } } });
    expect(traitsOf(plan)).toMatchObject({ servedBy: 'worker', effects: 'possible' });
    expect(traitsOf({ kind: 'sandbox' })).toMatchObject({ effects: 'none' });
    // Of the other kinds nobody states them.
    expect(traitsOf({ kind: 'embed', effects: 'intended' })).toMatchObject({ effects: 'none' });
  });

  it('is in a plan that is valid, where no stage is one', () => {
    const { plan } = withTools(codeTool({ sandbox: 's', effects: 'intended', approval: { timeout: '1m' } }));
    expect(planSchema.safeParse(plan).error).toBeUndefined();
    const [stage] = plan.stages.filter(isStage);
    if (!stage) throw new Error('there is no stage');
    expect(agentOf(stage).tools).toHaveLength(1);
    const wrong = { ...plan, stages: [{ ...stage, kind: 'sandbox', with: {} }] };
    expect(planSchema.safeParse(wrong).success).toBe(false);
  });

  it.each<[object, RegExp]>([
    [{}, /run_code\.sandbox/],
    [{ sandbox: '' }, /run_code\.sandbox/],
    [{ sandbox: 's', name: 'a b' }, /tools\.0\.name|has no|a b/],
    [{ sandbox: 's', language: 'Java Script' }, /run_code\.language/],
    [{ sandbox: 's', effects: 'some' }, /run_code\.effects/],
    [{ sandbox: 's', files: 'all' }, /run_code\.files/],
    [{ sandbox: 's', limits: { time: 'soon' } }, /run_code\.limits\.time/],
    [{ sandbox: 's', limits: { memoryBytes: 0 } }, /run_code\.limits\.memoryBytes/],
    [{ sandbox: 's', limits: { outputCharacters: 1.5 } }, /run_code\.limits\.outputCharacters/],
    [{ sandbox: 's', limits: { memory: 1 } }, /run_code\.limits\.memory/],
    [{ sandbox: 's', limits: null }, /run_code\.limits/],
    [{ sandbox: 's', memory: 1 }, /run_code\.memory/],
    [{ sandbox: 's', description: ' ' }, /run_code\.description/],
  ])('is refused where it is wrong: %j', (options, message) => {
    expect(() => withTools(codeTool(options as CodeToolOptions))).toThrow(
      expect.objectContaining({ code: 'INVALID_PIPELINE', message: expect.stringMatching(message) }),
    );
  });

  it('needs a name of its own beside others', () => {
    const other = tool({ name: 'run_code', description: 'x', input: z.object({}), run: () => 1 });
    expect(() => withTools(other, codeTool({ sandbox: 's' }))).toThrow(/same name twice/);
    expect(withTools(other, codeTool({ sandbox: 's', name: 'compute' })).name).toBe('p');
  });
});
