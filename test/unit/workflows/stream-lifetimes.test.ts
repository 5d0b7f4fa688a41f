import { expect, it } from 'vitest';
import { z } from 'zod';
import { code, codeStream, type Pipeline, pipeline, streamOf } from '../../../pipelines/index.js';
import { channelTtlMs } from '../../../pipelines/run/channel-ttl.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { changed } from '../../support/changed-host.js';
import { contextOf } from '../../support/in-process.js';
import { functionRunner } from '../../support/run-functions.js';

const words = codeStream('words', { input: z.object({}), entry: z.string() }, async function* () {
  yield 'a word';
});
const parts = z.object({ parts: streamOf(z.string()) });
const join = code('join', { input: parts, output: z.object({ text: z.string() }) }, async ({ parts }) => {
  let text = '';
  for await (const part of parts) text += part;
  return { text };
});

it.each(['full', 'off'] as const)('a stream is kept as long as its run may take: record %s', async (record) => {
  const of = pipeline('joined', { input: z.object({}), deadline: '10m', record }, ({ stage }) => ({
    text: stage('joined', join, { parts: stage('said', words, {}).entries }).text,
  })) as unknown as Pipeline;
  const calls = new Map<string, StageCall>();
  const runner = functionRunner(of.code, new MemoryChannelLog());
  const host = changed(new InProcessHost({ runner, run: 'r' }), (inner) => ({
    runStage(stage, input, call, ...more) {
      calls.set(call.stage, call);
      return inner.runStage(stage, input, call, ...more);
    },
  }));
  await interpret({}, contextOf(of), host);
  const said = calls.get('said') as StageCall;
  expect(channelTtlMs(said)).toBe(20 * 60_000);
  // Of a run that records nothing, `runMs` would have its calls recorded.
  expect('runMs' in said).toBe(record === 'full');
  expect(calls.get('joined')).not.toHaveProperty('streamedMs');
});
