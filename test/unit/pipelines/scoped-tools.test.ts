import { expect, it } from 'vitest';
import { z } from 'zod';
import { CodeFunctions } from '../../../activities/stage/code-functions.js';
import { supportAgent } from '../../../pipelines/catalog/index.js';
import { agent, type Pipeline, pipeline, pipelineTool, type Tool, tool } from '../../../pipelines/index.js';
import { agentOf, type StagePlan } from '../../../pipelines/plan/index.js';
import { loadDeployment } from '../../../workers/pipelines.js';
import { testSettings } from '../../support/settings.js';

const refund = (version: string, run: () => unknown) =>
  tool({ name: 'refund', version, description: 'Pays back', input: z.object({}), run });
const desk = (name: string, ...tools: readonly Tool[]) =>
  pipeline(name, { description: 'x', input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    const small = agent({ model: 'small', tools });
    return { text: stage('answer', agent({ model: 'm', tools }), { prompt: input.q }, { fallback: [small] }).text };
  }) as unknown as Pipeline;

const load = (...values: readonly unknown[]) => {
  const settings = testSettings();
  const config = { ...settings.config, pipelines: values as never };
  return loadDeployment({ ...settings, MILLRACE_PIPELINES: undefined, MILLRACE_BUILD_ID: 'b', config });
};
const modelsOf = ({ plan }: Pipeline): string[] => {
  const [stage] = plan.stages as readonly StagePlan[];
  const all = [stage, ...(stage?.fallback ?? [])].filter((each) => typeof each === 'object');
  return all.flatMap((each) => agentOf(each).tools.map((each) => (each.by === 'stage' ? each.model : each.plan.name)));
};

it('a tool of the same name and version as a shipped one is served beside it', async () => {
  const own = desk(
    'desk',
    refund('1', () => 'mine'),
  );
  const { functions } = await load(supportAgent, own);
  const code = new CodeFunctions(functions);
  expect(modelsOf(own)).toEqual(['desk/refund', 'desk/refund']);
  const context = { idempotencyKey: 'k' } as never;
  expect(await code.get('desk/refund', '1')?.run({}, context)).toEqual({ result: 'mine' });
  expect(await code.get('support-agent/refund', '1')?.run({ order: 'A' }, context)).toMatchObject({
    result: { status: 'refunded', order: 'A' },
  });
});

it('one tool may belong to several pipelines, and to a pipeline that is a tool itself', async () => {
  const shared = refund('1', () => 'shared');
  const inner = desk('inner', shared);
  const outer = desk('outer', shared, pipelineTool(inner));
  expect(modelsOf(outer)).toEqual(['outer/refund', 'inner', 'outer/refund', 'inner']);
  expect([...outer.code.keys()].sort()).toEqual(['inner/refund@1', 'outer/refund@1']);
  const { functions } = await load(inner, outer, shared);
  expect(new Set(functions.map(({ name }) => name))).toEqual(new Set(['inner/refund', 'outer/refund']));
});

it('an earlier version that the module exports serves the runs of its pipeline', async () => {
  const now = desk(
    'desk',
    refund('2', () => 'now'),
  );
  const { functions } = await load(
    now,
    refund('1', () => 'before'),
  );
  const code = new CodeFunctions(functions);
  const context = {} as never;
  expect(await code.get('desk/refund', '1')?.run({}, context)).toEqual({ result: 'before' });
  expect(await code.get('desk/refund', '2')?.run({}, context)).toEqual({ result: 'now' });
});

it('an earlier version that may be of two pipelines is refused, with both names', async () => {
  const one = desk(
    'one',
    refund('2', () => 1),
  );
  const two = desk(
    'two',
    refund('2', () => 2),
  );
  await expect(
    load(
      one,
      two,
      refund('1', () => 0),
    ),
  ).rejects.toMatchObject({
    code: 'INVALID_PIPELINE',
    message: expect.stringContaining('"one" and "two" have different tools of this name'),
  });
});

it('two tools of one name in one pipeline are refused where they are defined', () => {
  expect(() =>
    desk(
      'desk',
      refund('1', () => 1),
      refund('1', () => 2),
    ),
  ).toThrow(/has the same name twice/);
});
