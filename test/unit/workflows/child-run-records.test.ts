import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { contextOf } from '../../support/in-process.js';

const HOUR_MS = 3_600_000;
const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));

it('calls of child runs are kept as long as the run that they are part of may take: it may wait for days behind them', async () => {
  const innermost = pipeline('innermost', { input: one, deadline: '1m' }, ({ input, stage }) => ({
    n: stage('deep', add, { n: input.n }).n,
  }));
  const inner = pipeline('inner', { input: one, deadline: '1h' }, ({ input, stage, run }) => {
    const first = stage('near', add, { n: input.n }, { execution: 'inline' });
    return { n: run('child', innermost, { n: first.n }, { as: 'child' }).n };
  });
  const outer = pipeline('outer', { input: one, deadline: '100h' }, ({ input, stage, run }) => {
    const child = run('child', inner, { n: input.n }, { as: 'child' });
    return { n: stage('last', add, { n: child.n }).n };
  }) as unknown as Pipeline;
  const calls: StageCall[] = [];
  const runner = {
    async run(input: JsonObject, call: StageCall) {
      calls.push(call);
      return { output: input, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 } as const;
    },
  };
  await interpret({ n: 0 }, contextOf(outer), new InProcessHost({ runner, run: 'r' }));
  expect(calls.map(({ stage, runMs }) => [stage, runMs])).toEqual([
    ['near', 100 * HOUR_MS],
    ['deep', 100 * HOUR_MS],
    ['last', 100 * HOUR_MS],
  ]);
});
