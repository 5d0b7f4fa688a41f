import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { contextOf } from '../../support/in-process.js';

it('a call says which models its placement expects next, and nothing where it expects none', async () => {
  const schema = z.object({ text: z.string() });
  const same = code('same', { input: schema, output: schema }, (input) => input);
  const two = pipeline('two-stages', { input: schema }, ({ input, stage }) => {
    const first = stage('first', same, { text: input.text });
    return { text: stage('second', same, { text: first.text }).text };
  }) as Pipeline;
  const calls: StageCall[] = [];
  const run = async (output: JsonObject, call: StageCall) => {
    calls.push(call);
    return { output, endpoint: 'worker', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 } as const;
  };
  const context = contextOf(two);
  const placed = { connector: 'code', device: 'worker', queue: 'test' };
  const placement = { ...context.placement, first: { ...placed, next: ['tts'] } };
  await runInProcess({ text: 'x' }, { ...context, placement }, { runner: { run }, run: 'r' });
  expect(calls.map(({ stage, next }) => [stage, next])).toEqual([
    ['first', ['tts']],
    ['second', undefined],
  ]);
  expect(calls[1]).not.toHaveProperty('next');
});
