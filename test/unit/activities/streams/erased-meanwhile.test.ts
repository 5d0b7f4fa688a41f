import { describe, expect, it, vi } from 'vitest';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { passOnEntries, StepStreams, speakWhole } from '../../../../activities/streams/index.js';
import { passOnPieces } from '../../../../activities/streams/pass-on-pieces.js';
import { produceText } from '../../../../activities/streams/produce.js';
import { produceEntries } from '../../../../activities/streams/produce-entries.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { type Moment, momentAgo } from '../../../../runtime/moment.js';
import { type ChannelLog, ChannelWriter, MemoryChannelLog } from '../../../../stores/channels/index.js';
import { inProcessPieces } from '../../../../workers/hosts/in-process-pieces.js';
import { producer, signal } from './stream-run.js';

/** How long ago the attempts below began, in milliseconds. */
const AGE_MS = 60_000;

const OPENERS: Record<string, (channels: ChannelLog, attempt: Attempt) => Promise<unknown>> = {
  'a text': (channels, attempt) =>
    produceText({ channels }, { ...about(['sentences', 'tokens']), onDelta: () => undefined, opening: attempt }, made),
  'what a function yields': (channels, attempt) =>
    produceEntries({ channels }, { call: producer({ writes: ['entries'] }), attempt }, async () => ({
      output: { items: [1] },
    })),
  'what another worker has yielded': (channels, attempt) =>
    passOnEntries({ channels }, { ...about(['entries']), begunAt: begunAt(attempt) }, { output: { items: [1] } }),
  'more than a channel holds, of another worker': (channels, attempt) =>
    passOnEntries(
      { channels },
      { ...about(['entries']), begunAt: begunAt(attempt) },
      { output: { items: ['x'.repeat(3_000_000)] } },
    ),
  'pieces of audio that are there': (channels, attempt) =>
    passOnPieces({ channels }, { call: producer({ writes: ['pieces'] }), attempt }, { output: { chunks: [] } }),
  'a voice': (channels, attempt) =>
    speakWhole(
      { channels, join: async (_, [piece]) => piece as Artifact, convert: async (_, piece) => piece },
      {
        call: producer({ kind: 'synthesize', writes: ['chunks'] }),
        attempt,
        field: 'text',
        text: 'A sentence. Another one.',
      },
      async () => ({ output: { audio: { uri: 'a' } }, endpoint: '', device: '', cache: 'off' as const }),
      () => undefined,
    ),
  'an `each` of the workflow': (channels, attempt) =>
    new StepStreams(channels, 'r', signal(), attempt.begunAt).commit({ path: 'each', from: 0, runMs: AGE_MS }, [
      1,
    ] as Json[]),
  'an `each` of a segment': async (channels, attempt) => {
    const stepStreams = (run: string, own: AbortSignal, at?: Moment) => new StepStreams(channels, run, own, at);
    const writer = await inProcessPieces({ stepStreams }, 'r', signal(), begunAt(attempt))?.write('each', {
      ...{ step: 'each', leftMs: () => AGE_MS, runMs: AGE_MS },
    });
    await writer?.add(1);
    writer?.close();
  },
};

const begunAt = (attempt: Attempt) => attempt.begunAt ?? momentAgo();
const made = async () => ({ output: { text: 'A sentence.' } as JsonObject });
const about = (writes: readonly string[]): { run: string; call: StageCall; signal: AbortSignal } => ({
  ...{ run: 'r', call: producer({ writes } as Partial<StageCall>), signal: signal() },
});

describe('a stream of a run that may have been erased since the attempt began', () => {
  it.each(Object.entries(OPENERS))('is opened with the age of the attempt: %s', async (_, opener) => {
    const channels = new MemoryChannelLog();
    const open = vi.spyOn(channels, 'open');
    const attempt: Attempt = {
      ...{ signal: signal(), attempt: 1, queueMs: 0, run: 'r', resumeFrom: null, checkpoint: () => undefined },
      begunAt: momentAgo(AGE_MS),
    };
    await opener(channels, attempt);
    expect(open).toHaveBeenCalled();
    for (const [, , , , ageMs] of open.mock.calls) expect(ageMs).toBeGreaterThanOrEqual(AGE_MS);
  });

  it('is opened with the time for which the machine was suspended', async () => {
    const channels = new MemoryChannelLog();
    const open = vi.spyOn(channels, 'open');
    const begunAt = { ...momentAgo(), wallMs: Date.now() - AGE_MS };
    const name = { run: 'r', path: 'answer', of: 'sentences' };
    (await ChannelWriter.open(channels, name, { signal: signal(), ttlMs: AGE_MS, begunAt })).close();
    expect(open.mock.calls[0]?.[4]).toBeGreaterThanOrEqual(AGE_MS);
  });

  it('is stored again with its age, and ends if there is none for it', async () => {
    const channels = new MemoryChannelLog();
    const restore = vi.spyOn(channels, 'restore');
    const name = { run: 'r', path: 'answer', of: 'sentences' };
    const options = { signal: signal(), ttlMs: AGE_MS, begunAt: momentAgo(AGE_MS) };
    const writer = await ChannelWriter.open(channels, name, options);
    vi.spyOn(channels, 'append').mockResolvedValueOnce('gone');
    vi.spyOn(channels, 'read').mockResolvedValueOnce(undefined);
    writer.add('A sentence.');
    await writer.settled();
    expect(restore.mock.calls[0]?.[1].ageMs).toBeGreaterThanOrEqual(AGE_MS);
    writer.close();
    const erased: ChannelLog = Object.assign(new MemoryChannelLog(), { open: async () => undefined });
    await expect(ChannelWriter.open(erased, name, options)).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
    // Nor is a store without it waited for.
    await expect(ChannelWriter.open(erased, name, { ...options, patient: true })).rejects.toMatchObject({
      code: 'STREAM_TAKEN',
    });
  });
});
