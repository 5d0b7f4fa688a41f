import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AudioEncoder, GIVEN_FORMATS, type GivenFormat, inspectorOf } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { encoded, ffmpeg } from '../../support/ffmpeg.js';
import { pieces, wavFile } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-encoder-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

const put = (file: Buffer) => store.put('acme', pieces(file, 10_000), inspectorOf('audio'));
const speech = wavFile({ sampleRate: 24_000, seconds: 2, hz: 440, amplitude: 0.5 });
const never = new AbortController().signal;

async function given(encoder: AudioEncoder, artifact: Artifact, format: GivenFormat, signal = never) {
  const { mime, bytes, chunks } = await encoder.encode('acme', artifact, format, signal);
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return { mime, bytes, file: Buffer.concat(parts) };
}

/** How each format is read by what knows it. */
const DEMUXER = { mp3: 'mp3', opus: 'ogg', aac: 'aac', flac: 'flac', wav: 'wav' } as const;
const STARTS = { mp3: /^(ID3|\xff[\xf2\xf3\xfb])/, opus: /^OggS/, aac: /^\xff[\xf1\xf9]/, flac: /^fLaC/, wav: /^RIFF/ };

function decoded(file: Buffer, demuxer: string): Int16Array {
  const options = [
    '-loglevel',
    'error',
    '-f',
    demuxer,
    '-i',
    'pipe:0',
    '-ar',
    '24000',
    '-ac',
    '1',
    '-f',
    's16le',
    'pipe:1',
  ];
  const { stdout, stderr, status } = spawnSync(ffmpeg, options, { input: file });
  expect([status, stderr.toString()]).toEqual([0, '']);
  return samplesOf(stdout);
}
const samplesOf = (bytes: Buffer) =>
  new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));

/** Hz of a tone, from how often it crosses zero in its middle second. */
function pitch(samples: Int16Array): number {
  const middle = samples.subarray(12_000, 36_000);
  let crossings = 0;
  for (let i = 1; i < middle.length; i++) if ((middle[i - 1] as number) < 0 !== (middle[i] as number) < 0) crossings++;
  return crossings / 2;
}

describe('by ffmpeg', () => {
  test.each(['mp3', 'opus', 'aac', 'flac'] as const)('%s is the same sound', async (format) => {
    const encoder = new AudioEncoder(store, ffmpeg);
    await encoder.require(format);
    const { mime, file } = await given(encoder, await put(speech), format);
    expect(mime).toBe(GIVEN_FORMATS[format].mime);
    expect(file.toString('latin1')).toMatch(STARTS[format]);
    const samples = decoded(file, DEMUXER[format]);
    expect(samples.length / 24_000).toBeCloseTo(2, 0);
    expect(pitch(samples)).toBeCloseTo(440, -1);
    expect(file.length).toBeLessThan(speech.length);
  });

  test.each(['mp3', 'opus', 'aac'] as const)('%s is made of any rate and of many channels', async (format) => {
    for (const sampleRate of [8_000, 44_100, 96_000]) {
      const artifact = await put(wavFile({ sampleRate, channels: sampleRate === 8_000 ? 1 : 6, seconds: 2, hz: 440 }));
      const { file } = await given(new AudioEncoder(store, ffmpeg), artifact, format);
      expect(pitch(decoded(file, DEMUXER[format])), `${sampleRate}`).toBeCloseTo(440, -1);
    }
  });

  test('what is no WAV is decoded on its way, or given as it is', async () => {
    const mp3 = encoded(speech, 'mp3');
    const artifact = await put(mp3);
    const encoder = new AudioEncoder(store, ffmpeg);
    expect(await given(encoder, artifact, 'mp3')).toEqual({ mime: 'audio/mpeg', bytes: mp3.length, file: mp3 });
    const wav = await given(encoder, artifact, 'wav');
    expect(wav.file.toString('latin1')).toMatch(STARTS.wav);
    expect(pitch(decoded(wav.file, 'wav'))).toBeCloseTo(440, -1);
    expect(pitch(samplesOf((await given(encoder, artifact, 'pcm')).file))).toBeCloseTo(440, -1);
  });

  test('an abort ends it, and its place is another’s', async () => {
    const encoder = new AudioEncoder(store, ffmpeg);
    const artifact = await put(wavFile({ sampleRate: 48_000, seconds: 60 }));
    for (let i = 0; i < availableParallelism() + 1; i++) {
      const gone = new AbortController();
      const { chunks } = await encoder.encode('acme', artifact, 'flac', gone.signal);
      const reading = (async () => {
        for await (const _ of chunks) gone.abort(new Error('gone'));
      })();
      await expect(reading).rejects.toThrow('gone');
    }
    expect((await given(encoder, await put(speech), 'mp3')).file.length).toBeGreaterThan(1_000);
  });
});

describe('without ffmpeg', () => {
  const encoder = () => new AudioEncoder(store, '/nowhere/ffmpeg');

  test('a format that takes it is refused with what would help, before and while', async () => {
    const missing = {
      code: 'CONVERSION_UNAVAILABLE',
      message: expect.stringMatching(/mp3 .*ENOENT.*MILLRACE_FFMPEG.*wav/),
    };
    await expect(encoder().require('mp3')).rejects.toMatchObject(missing);
    await expect(given(encoder(), await put(speech), 'mp3')).rejects.toMatchObject(missing);
  });

  test('WAV is given as it is, and its samples', async () => {
    for (const format of ['wav', 'pcm'] as const) await encoder().require(format);
    const artifact = await put(speech);
    expect(await given(encoder(), artifact, 'wav')).toEqual({ mime: 'audio/wav', bytes: speech.length, file: speech });
    const { mime, file } = await given(encoder(), artifact, 'pcm');
    expect(mime).toBe('audio/pcm');
    expect(file.equals(speech.subarray(44))).toBe(true);
    const high = await given(
      encoder(),
      await put(wavFile({ sampleRate: 48_000, channels: 2, seconds: 2, hz: 440 })),
      'pcm',
    );
    expect(pitch(samplesOf(high.file))).toBeCloseTo(440, -1);
    expect(high.file.length).toBeCloseTo(2 * 24_000 * 2, -2);
  });

  test('another tenant’s audio is not there', async () => {
    const given = encoder().encode('other', await put(speech), 'wav', never);
    await expect(given).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });
});

test('who does not read what is encoded holds up nobody of another tenant', async () => {
  const encoder = new AudioEncoder(store, ffmpeg);
  const long = wavFile({ sampleRate: 48_000, seconds: 120 });
  const artifact = await put(long);
  const left = new AbortController();
  const unread: AsyncIterator<Uint8Array>[] = [];
  for (const format of ['flac', 'pcm'] as const) {
    for (let i = 0; i <= availableParallelism(); i++) {
      const { chunks } = await encoder.encode('acme', artifact, format, left.signal);
      const iterator = chunks[Symbol.asyncIterator]();
      unread.push(iterator);
      // The first have something to read, the others wait.
      iterator.next().catch(() => undefined);
    }
  }
  const theirs = await store.put('other', pieces(speech, 10_000), inspectorOf('audio'));
  for (const format of ['mp3', 'pcm'] as const) {
    const { chunks } = await encoder.encode('other', theirs, format, never);
    let bytes = 0;
    for await (const chunk of chunks) bytes += chunk.length;
    expect(bytes).toBeGreaterThan(10_000);
  }
  left.abort(new Error('left'));
  await Promise.allSettled(unread.map((each) => each.return?.()));
});

test('a stored file takes a place of its tenant’s in every format, since it may need a decoder', async () => {
  const encoder = new AudioEncoder(store, ffmpeg);
  const mp3 = await put(encoded(speech, 'mp3'));
  const left = new AbortController();
  const stored = { tenant: 'acme', pieces: nothing(), whole: async () => mp3, stored: true };
  const taken = Array.from({ length: 8 * availableParallelism() }, () => encoder.live(stored, 'wav', left.signal));
  expect(taken.every((given) => given !== undefined)).toBe(true);
  expect([encoder.isFull('acme'), encoder.isFull('other')]).toEqual([true, false]);
  for (const format of ['wav', 'pcm', 'mp3'] as const) expect(encoder.live(stored, format, never)).toBeUndefined();
  left.abort(new Error('left'));
  const given = encoder.live(stored, 'wav', never);
  const parts: Uint8Array[] = [];
  for await (const chunk of given?.chunks ?? []) parts.push(chunk);
  expect(Buffer.concat(parts).toString('latin1')).toMatch(STARTS.wav);
  // Its end has made room.
  const again = Array.from({ length: 8 * availableParallelism() }, () => encoder.live(stored, 'pcm', never));
  expect(again.every((each) => each !== undefined)).toBe(true);
});

test('the event loop is free while a long stored file is given as samples', async () => {
  const encoder = new AudioEncoder(store, ffmpeg);
  const long = storedFile(await put(wavFile({ sampleRate: 1_000, encoding: 'u8', seconds: 200 })));
  const first = encoder.live(storedFile(await put(speech)), 'pcm', never); // starts the thread
  for await (const _ of first?.chunks ?? []);
  const before = performance.eventLoopUtilization();
  let bytes = 0;
  for await (const chunk of encoder.live(long, 'pcm', never)?.chunks ?? []) bytes += chunk.length;
  expect(bytes).toBe(200 * 24_000 * 2);
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.6);
});

test('stored files of a tenant are converted so many at once, and one that is not read holds up none', async () => {
  const left = new AbortController();
  const file = storedFile(await put(wavFile({ sampleRate: 48_000, seconds: 30 })));
  let begun = 0;
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  async function* stuck(): AsyncGenerator<Uint8Array, void> {
    begun += 1;
    await held;
    yield Buffer.alloc(0);
  }
  const stuckStore: ArtifactStore = {
    put: store.put.bind(store),
    stat: store.stat.bind(store),
    check: store.check.bind(store),
    read: stuck,
  };
  const open = (encoder: AudioEncoder) =>
    Array.from({ length: availableParallelism() + 2 }, () =>
      encoder.live(file, 'pcm', left.signal)?.chunks[Symbol.asyncIterator](),
    );
  const asked = open(new AudioEncoder(stuckStore, ffmpeg)).map((each) => each?.next());
  await vi.waitFor(() => expect(begun).toBe(availableParallelism()), { timeout: 20_000 });
  await sleep(50);
  expect(begun).toBe(availableParallelism());
  const unread = open(new AudioEncoder(store, ffmpeg));
  for (const each of unread) expect((await each?.next())?.value?.length).toBeGreaterThan(0);
  left.abort(new Error('left'));
  letGo();
  await Promise.allSettled([...asked, ...unread.map((each) => each?.return?.())]);
});

const storedFile = (whole: Artifact) => ({ tenant: 'acme', pieces: nothing(), whole: async () => whole, stored: true });

async function* nothing(): AsyncGenerator<never, void> {}

test('what is no audio takes no place from what is', async () => {
  const encoder = new AudioEncoder(store, ffmpeg);
  const note = await store.put('acme', pieces(Buffer.from('no audio'), 10), inspectorOf('file'));
  const signal = AbortSignal.timeout(110_000);
  for (let i = 0; i <= availableParallelism(); i++)
    await expect(given(encoder, note, 'mp3', signal)).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
});

test.each(['mp3', 'mp3 without a tag', 'flac', 'ogg (Opus)', 'webm', 'mp4', 'mp4 in fragments'])(
  'knows the length of %s',
  async (as) => {
    const stored = await put(encoded(speech, as));
    const durationMs = await new AudioEncoder(store, ffmpeg).durationMs('acme', stored, never);
    // The frames of the encoders before and behind what is heard.
    expect(Math.abs(durationMs - 2_000)).toBeLessThan(120);
  },
);

test('the length of what cannot be read is an error, and so is one without ffmpeg', async () => {
  const mp3 = await put(encoded(speech, 'mp3'));
  await expect(new AudioEncoder(store, '/nowhere/ffmpeg').durationMs('acme', mp3, never)).rejects.toMatchObject({
    code: 'CONVERSION_UNAVAILABLE',
  });
  const note = await store.put('acme', pieces(Buffer.from('no audio'), 10), inspectorOf('file'));
  await expect(new AudioEncoder(store, ffmpeg).durationMs('acme', note, never)).rejects.toMatchObject({
    code: 'INVALID_MEDIA',
  });
});
