import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AudioEncoder, type GivenFormat, inspectorOf, joinAudio, type LiveAudio } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { ffmpeg } from '../../support/ffmpeg.js';
import { pieces, wavFile } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
let sentences: [Artifact, ...Artifact[]];
let joined: Artifact;
const put = (hz: number, seconds: number) =>
  store.put('acme', pieces(wavFile({ sampleRate: 24_000, seconds, hz, amplitude: 0.5 }), 7_001), inspectorOf('audio'));
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-live-'));
  store = await openFileStore(root);
  sentences = [await put(440, 2), await put(220, 1.5), await put(330, 3)];
  joined = await joinAudio(store, 'acme', sentences, { ffmpeg });
});
afterAll(() => rm(root, { recursive: true }));

const never = new AbortController().signal;
const FORMATS: GivenFormat[] = ['wav', 'pcm', 'mp3', 'opus', 'flac', 'aac'];
/** Of all formats but WAV, which states its length. */
const headerOf = (format: GivenFormat) => (format === 'wav' ? 44 : 0);

async function* made(list: readonly Artifact[], step: () => Promise<void> = async () => {}) {
  for (const each of list) {
    await step();
    yield each;
  }
}
const live = (from: AsyncIterable<Artifact>, whole: Artifact | undefined = undefined): LiveAudio => ({
  tenant: 'acme',
  pieces: from,
  whole: async () => whole,
});

async function bytesOf(chunks: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks ?? []) all.push(chunk);
  return Buffer.concat(all);
}

describe('audio that is made while it is read', () => {
  test.each(FORMATS)('as %s: the first bytes come before the second piece is made', async (format) => {
    const encoder = new AudioEncoder(store, ffmpeg);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    const from = made(sentences, async () => {
      asked += 1;
      if (asked === 2) await held;
    });
    const given = encoder.live(live(from), format, never);
    const chunks = given?.chunks[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    // More than a header: two seconds have been made.
    let length = 0;
    while (length < 4_000) length += (await chunks.next()).value?.length ?? Number.NaN;
    release();
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) length += next.value.length;
    expect(length).toBeGreaterThan(20_000);
  });

  test.each(FORMATS)(
    'as %s: the same bytes from pieces, from the whole, and where the pieces break off',
    async (format) => {
      const encoder = new AudioEncoder(store, ffmpeg);
      const of = async (audio: LiveAudio) =>
        (await bytesOf(encoder.live(audio, format, never)?.chunks)).subarray(headerOf(format));
      const fromPieces = await of(live(made(sentences)));
      expect(fromPieces.length).toBeGreaterThan(20_000);
      expect((await of(live(made([]), joined))).equals(fromPieces)).toBe(true);
      expect((await of(live(made(sentences.slice(0, 2)), joined))).equals(fromPieces)).toBe(true);
      const { chunks } = await encoder.encode('acme', joined, format, never);
      expect((await bytesOf(chunks)).subarray(headerOf(format)).equals(fromPieces)).toBe(true);
    },
  );

  test('fails as what makes it', async () => {
    const encoder = new AudioEncoder(store, ffmpeg);
    for (const format of FORMATS) {
      const given = encoder.live(
        { ...live(made(sentences.slice(0, 1))), whole: () => Promise.reject(new Error('the run failed')) },
        format,
        never,
      );
      await expect(bytesOf(given?.chunks)).rejects.toThrow('the run failed');
    }
  });

  test('holds no slot for a reader that has left before it began', async () => {
    const encoder = new AudioEncoder(store, ffmpeg);
    for (let i = 0; i < 100 * availableParallelism(); i++) {
      const begin = async () => encoder.live(live(made([])), 'mp3', AbortSignal.abort(new Error('left')));
      await expect(begin()).rejects.toThrow('left');
    }
    expect(encoder.live(live(made([])), 'mp3', never)).toBeDefined();
  });
});
