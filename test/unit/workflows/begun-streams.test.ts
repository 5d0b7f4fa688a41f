import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, type Pipeline, pipeline, synthesize } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { RunContext, SegmentOutcome, StageCall } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { changed } from '../../support/changed-host.js';
import { contextOf } from '../../support/in-process.js';
import { voiceRunner } from '../../support/voice-runner.js';

/* Whether a call is told that an earlier one of its stage may have written its streams. */

const input = z.object({ text: z.string() });
const SPOKEN = { text: 'It rains in the valley. Nobody came to the fair.' };

const read = (execution: 'queued' | 'inline', more: object = {}) =>
  pipeline('read', { input, deadline: '1m' }, ({ input, stage }) => {
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: input.text }, { execution, ...more });
    return { pieces: spoken.chunks };
  });

type Call = (call: StageCall, run: () => Promise<unknown>) => Promise<unknown>;

/** Runs a pipeline; returns the calls that were made. */
async function callsOf(
  of: unknown,
  {
    serve = (_, run) => run(),
    segment,
    context = {},
    channels = new MemoryChannelLog(),
    given = SPOKEN as JsonObject,
  }: {
    readonly serve?: Call;
    readonly segment?: SegmentOutcome;
    readonly context?: Partial<RunContext>;
    readonly channels?: MemoryChannelLog;
    readonly given?: JsonObject;
  } = {},
) {
  const calls: StageCall[] = [];
  const runner = voiceRunner(of, channels);
  const host = changed(new InProcessHost({ runner, run: 'r' }), (inner) => ({
    async runStage(stage, values, call, ...more) {
      calls.push(call);
      return (await serve(call, () => inner.runStage(stage, values, call, ...more))) as never;
    },
    ...(segment && { runSegment: async () => segment }),
  }));
  await interpret(given, { ...contextOf(of as Pipeline), ...context }, host);
  return calls.map(({ stage, again, reads }) => ({ stage, again: again === true, reads: reads !== undefined }));
}

const first = { stage: 'speak', again: false, reads: false };

describe('a call of a stage with streams', () => {
  it('is the first', async () => {
    expect(await callsOf(read('queued'))).toEqual([first]);
  });

  it.each<[string, JsonObject, boolean]>([
    ['may have written', {}, true],
    ['found the store away', { unstreamed: true }, false],
  ])('follows one of another model, which %s', async (_, details, again) => {
    let calls = 0;
    const of = read('queued', { fallback: [synthesize({ model: 'other' })], onCut: 'fallback' });
    const serve: Call = async (_, run) => {
      calls += 1;
      if (calls === 1) throw new StageError('BACKEND_REJECTED', 'no', details);
      return await run();
    };
    expect(await callsOf(of, { serve })).toEqual([first, { ...first, again }]);
  });

  it.each<[string, JsonObject, boolean]>([
    ['had none', {}, false],
    ['had one that was lost', { lost: true }, true],
  ])('follows one that no worker took, and that %s before', async (_, details, again) => {
    let calls = 0;
    const of = read('queued', { fallback: [synthesize({ model: 'other' })], onCut: 'fallback' });
    const serve: Call = async (_, run) => {
      calls += 1;
      if (calls === 1) throw new StageError('QUEUE_TIMEOUT', 'no worker', { begun: 0, ...details });
      return await run();
    };
    expect(await callsOf(of, { serve })).toEqual([first, { ...first, again }]);
  });

  it.each<[string, Partial<SegmentOutcome>, boolean]>([
    ['lost its journal', { tried: {} }, true],
    ['could not begin without one', {}, false],
  ])('follows a segment that %s', async (_, more, again) => {
    const segment = { done: {}, rows: [], interrupted: true, ...more } as SegmentOutcome;
    expect(await callsOf(read('inline'), { segment })).toEqual([{ ...first, again }]);
  });

  const listening = pipeline('listen', { input, deadline: '1m' }, ({ input, stage }) => {
    const answer = stage('answer', chat({ model: 'm' }), { prompt: input.text });
    const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.sentences });
    return { pieces: spoken.chunks };
  });
  const ended = (output: JsonObject) => ({
    ...{ output, endpoint: '', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 },
  });
  const answers: Call = async ({ stage }) => ended(stage === 'answer' ? SPOKEN : { audio: {}, chunks: [] });
  const answer = { ...first, stage: 'answer' };

  it('follows one whose stream was lost', async () => {
    const serve: Call = async (call, run) => {
      if (call.reads) throw new StageError('STREAM_LOST', 'gone');
      return await answers(call, run);
    };
    expect(await callsOf(listening, { serve })).toEqual([answer, { ...first, reads: true }, { ...first, again: true }]);
  });

  it('goes on with its stream in a new history', async () => {
    const carried = { startedAt: performance.now(), done: {}, decided: {}, rows: [] };
    const calls = await callsOf(listening, { serve: answers, context: { carried } });
    expect(calls).toEqual([answer, { ...first, again: true, reads: true }]);
  });
});
