import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { type SpeakingParts, type SpokenChunk, speakStream, speakWhole } from '../../../../activities/streams/index.js';
import { AudioEncoder, audioLike, inspectorOf, joinAudio } from '../../../../media/index.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { heardPieces } from '../../../../runs/live-audio.js';
import { type ArtifactStore, openFileStore } from '../../../../stores/artifacts/index.js';
import { ChannelWriter, MemoryChannelLog, readChannel } from '../../../../stores/channels/index.js';
import { ffmpeg } from '../../../support/ffmpeg.js';
import { pieces, type WavOptions, wavFile } from '../../../support/wav-samples.js';
import { ANSWER, PIECES, run, signal, speaker, whole } from './stream-run.js';

/** The channel's format is that of the first voice; the others differ in rate, channels and sample width. */
const FIRST: WavOptions = { sampleRate: 24_000, hz: 220 };
const OTHERS: Readonly<Record<string, WavOptions>> = {
  'rate and channels': { sampleRate: 44_100, channels: 2, hz: 440 },
  'sample width': { sampleRate: 24_000, encoding: 's24', hz: 440 },
  'a lower rate, in floats': { sampleRate: 8_000, encoding: 'f32', hz: 440 },
};
const SECONDS = 0.5;
const HEADER = 44;

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-voices-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

const bytesOf = async (chunks: AsyncIterable<Uint8Array> | undefined) => {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks ?? []) all.push(chunk);
  return Buffer.concat(all);
};

/** A story that is told, and voices that speak it. */
async function story() {
  const { channels, id, produce } = run();
  await produce(whole());
  return { channels, ...voices(channels, id) };
}

/** Attempts of a speaking stage of one run, by one voice after the other. */
function voices(channels: MemoryChannelLog, id: string) {
  const joins = { fail: false };
  const parts: SpeakingParts = {
    channels,
    join: async (tenant, all) => {
      if (joins.fail) throw new MillraceError('ARTIFACT_CORRUPT', 'the pieces are not read');
      return await joinAudio(store, tenant, all, { ffmpeg });
    },
    convert: (tenant, piece, first) => audioLike(store, tenant, piece, first, { ffmpeg }),
  };
  const own = { signal: signal(), attempt: 1, queueMs: 0, run: id, resumeFrom: null, checkpoint: () => undefined };
  const attempt = own as unknown as Attempt;
  const serveBy = (model: string, format: WavOptions, said: string[], failAt?: string) => {
    return async ({ text }: JsonObject) => {
      if (text === failAt) throw new MillraceError('BACKEND_ERROR', 'this voice is broken', { final: true });
      said.push(`${model}: ${String(text)}`);
      const file = wavFile({ ...format, seconds: SECONDS });
      const audio = { ...(await store.put('t', pieces(file, 7_001), inspectorOf('audio'))) } as unknown as JsonObject;
      return { output: { audio }, endpoint: model, device: 'd', cache: 'off', usage: { audioSeconds: SECONDS } };
    };
  };
  const callOf = (model: string, more: Partial<StageCall>) => ({ ...speaker, model, ...more }) as StageCall;
  const said: string[] = [];
  return {
    said,
    id,
    joins,
    speak: (model: string, format: WavOptions, more: Partial<StageCall> = {}, failAt?: string) =>
      speakStream(
        parts,
        { call: callOf(model, more), attempt, field: 'text' },
        serveBy(model, format, said, failAt?.trim()),
      ),
    speakText: (model: string, format: WavOptions, more: Partial<StageCall> = {}, failAt?: string) =>
      speakWhole(
        parts,
        {
          call: callOf(model, { ...more, reads: undefined } as unknown as Partial<StageCall>),
          attempt,
          field: 'text',
          text: ANSWER,
        },
        serveBy(model, format, said, failAt?.trim()),
      ),
  };
}

/** What a listener gets of a run: from the pieces alone, as while it is under way. */
async function heardOf(channels: MemoryChannelLog, id: string): Promise<Buffer> {
  async function* audio() {
    const name = { run: id, path: 'speak', of: 'chunks' };
    for await (const piece of heardPieces(channels, name, { signal: signal(), ended: signal() })) yield piece.audio;
  }
  const encoder = new AudioEncoder(store, ffmpeg);
  const live = { tenant: 't', pieces: audio(), whole: async () => undefined };
  return (await bytesOf(encoder.live(live, 'wav', signal())?.chunks)).subarray(HEADER);
}

async function chunksOf(channels: MemoryChannelLog, id: string): Promise<SpokenChunk[]> {
  const chunks: SpokenChunk[] = [];
  for await (const { value } of readChannel(channels, { run: id, path: 'speak', of: 'chunks' }, { signal: signal() }))
    chunks.push(value as unknown as SpokenChunk);
  return chunks;
}

const THIRD = PIECES[2] as string;
const TRIMMED = PIECES.map((piece) => piece.trim());

describe('another voice in mid-stream', () => {
  it.each(Object.entries(OTHERS))(
    'goes on where its author allows it, in the format of the first piece: %s differ',
    async (_, other) => {
      const { channels, id, said, speak } = await story();
      await expect(speak('first', FIRST, { onCut: 'fallback' }, THIRD)).rejects.toThrow('this voice is broken');
      const { output } = await speak('second', other, { onCut: 'fallback' });
      expect(said).toEqual([`first: ${TRIMMED[0]}`, `first: ${TRIMMED[1]}`, `second: ${TRIMMED[2]}`]);
      const speech = output.audio as unknown as Artifact;
      expect(speech).toMatchObject({ sampleRate: 24_000, channels: 1 });
      // A listener gets what the run ends with, without a break.
      const final = (await bytesOf(store.read('t', speech.uri))).subarray(HEADER);
      const heard = await heardOf(channels, id);
      expect(heard.equals(final)).toBe(true);
      expect(heard.length).toBe(3 * SECONDS * 24_000 * 2);
      // All pieces are of one format, and the first ones as they were made.
      for (const { audio } of await chunksOf(channels, id))
        expect(audio).toMatchObject({ mime: 'audio/wav', sampleRate: 24_000, channels: 1, bytes: HEADER + 24_000 });
      const made = wavFile({ ...FIRST, seconds: SECONDS }).subarray(HEADER);
      expect(final.subarray(0, made.length).equals(made)).toBe(true);
      // The third one is the other voice: a tone of twice the frequency.
      expect(crossings(final.subarray(2 * made.length))).toBeCloseTo(2 * crossings(made), -1);
    },
  );

  it('does not go on by default: the stage fails with a code, and nothing is called', async () => {
    const { channels, id, said, speak } = await story();
    await expect(speak('first', FIRST, {}, THIRD)).rejects.toThrow('this voice is broken');
    await expect(speak('second', OTHERS['rate and channels'] ?? {})).rejects.toMatchObject({
      code: 'STREAM_CUT',
      message: expect.stringContaining("onCut: 'fallback'"),
    });
    expect(said).toHaveLength(2);
    // The first voice may go on, under another attempt or as a later alternative.
    const { output } = await speak('first', FIRST);
    expect(said.at(-1)).toBe(`first: ${TRIMMED[2]}`);
    const { bytes } = output.audio as unknown as Artifact;
    expect((await heardOf(channels, id)).length).toBe(bytes - HEADER);
  });

  it('ends the audio with what is spoken where its author says so', async () => {
    const { channels, id, said, speak } = await story();
    await expect(speak('first', FIRST, { onCut: 'end' }, THIRD)).rejects.toThrow('this voice is broken');
    const outcome = await speak('second', FIRST, { onCut: 'end' });
    expect(said).toHaveLength(2);
    expect(outcome.usage).toEqual({ audioSeconds: 2 * SECONDS });
    const final = await bytesOf(store.read('t', (outcome.output.audio as unknown as Artifact).uri));
    expect((await heardOf(channels, id)).equals(final.subarray(HEADER))).toBe(true);
    // The end is decided: another attempt returns the same.
    expect(await speak('first', FIRST, { onCut: 'end' })).toEqual(outcome);
    expect(said).toHaveLength(2);
  });

  it.each([undefined, 'end'] as const)('ends what is spoken whole, as the first voice would (%s)', async (onCut) => {
    const { channels, id, said, speak, joins } = await story();
    const options = onCut ? { onCut } : {};
    joins.fail = true;
    await expect(speak('first', FIRST, options)).rejects.toThrow('the pieces are not read');
    joins.fail = false;
    const { output } = await speak('second', FIRST, options);
    expect(said).toEqual(TRIMMED.map((text) => `first: ${text}`));
    const { bytes } = output.audio as unknown as Artifact;
    expect((await heardOf(channels, id)).length).toBe(bytes - HEADER);
    const held = await channels.read({ run: id, path: 'speak', of: 'chunks' }, 0, 10);
    expect(JSON.parse(held?.end ?? '{}')).toMatchObject({ as: 'done' });
  });

  it('is any other voice before the first piece, and the same one in another attempt', async () => {
    const { said, speak } = await story();
    await expect(speak('first', FIRST, {}, PIECES[0])).rejects.toThrow('this voice is broken');
    await expect(speak('second', FIRST, {}, THIRD)).rejects.toThrow('this voice is broken');
    await speak('second', FIRST);
    expect(said).toEqual(TRIMMED.map((text) => `second: ${text}`));
  });

  it('is told by its options too, and not by whether only cached answers count', async () => {
    const { speak } = await story();
    await expect(speak('first', FIRST, { with: { voice: 'a' } }, THIRD)).rejects.toThrow('this voice is broken');
    await expect(speak('first', FIRST, { with: { voice: 'b' } })).rejects.toMatchObject({ code: 'STREAM_CUT' });
    const cache = { kind: 'exact', ttlMs: 1_000, only: true } as unknown as NonNullable<StageCall['cache']>;
    await speak('first', FIRST, { with: { voice: 'a' }, cache });
  });

  it('follows the same rules where a whole text is heard while it is spoken', async () => {
    const { speakText, said } = voices(new MemoryChannelLog(), 'whole');
    await expect(speakText('first', FIRST, {}, THIRD)).rejects.toThrow('this voice is broken');
    await expect(speakText('second', FIRST)).rejects.toMatchObject({ code: 'STREAM_CUT' });
    const outcome = await speakText('second', OTHERS['sample width'] ?? {}, { onCut: 'fallback' });
    expect(said.at(-1)).toBe(`second: ${TRIMMED[2]}`);
    expect(outcome?.output.audio).toMatchObject({ sampleRate: 24_000, bytes: HEADER + 3 * SECONDS * 48_000 });
  });

  it('may follow pieces of an earlier release, which do not say whose they are', async () => {
    const { channels, id, said, speak } = await story();
    await expect(speak('first', FIRST, {}, THIRD)).rejects.toThrow('this voice is broken');
    const held = await channels.read({ run: id, path: 'speak', of: 'chunks' }, 0, 10);
    const before = held?.entries.map(({ text }) => JSON.parse(text) as JsonObject) ?? [];
    expect(before).toHaveLength(2);
    const older = new MemoryChannelLog();
    const again = voices(older, 'older');
    const options = { signal: signal(), ttlMs: 60_000 };
    const writer = await ChannelWriter.open(older, { run: 'older', path: 'speak', of: 'chunks' }, options);
    for (const { voice: _, ...piece } of before) writer.add(piece);
    await writer.settled();
    writer.close();
    const outcome = await again.speakText('second', OTHERS['rate and channels'] ?? {});
    expect(again.said).toEqual([`second: ${TRIMMED[2]}`]);
    expect(outcome?.output.audio).toMatchObject({ sampleRate: 24_000, bytes: HEADER + 3 * SECONDS * 48_000 });
    expect(said).toHaveLength(2);
  });

  it('of an unequal replica is the same voice, in the format of the first piece', async () => {
    const { channels, id, speak } = await story();
    await expect(speak('first', FIRST, {}, THIRD)).rejects.toThrow('this voice is broken');
    const { output } = await speak('first', { ...FIRST, sampleRate: 16_000 });
    expect((await heardOf(channels, id)).length).toBe((output.audio as unknown as Artifact).bytes - HEADER);
  });
});

/** How often 16-bit samples change their sign. */
function crossings(samples: Buffer): number {
  let count = 0;
  for (let at = 2; at < samples.length; at += 2)
    if (samples.readInt16LE(at) >= 0 !== samples.readInt16LE(at - 2) >= 0) count += 1;
  return count;
}
