import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createSplit } from '../../../../activities/media/split.js';
import { createAudioPort, inspectorOf } from '../../../../media/index.js';
import { quietestCut } from '../../../../media/quietest-cut.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { Json } from '../../../../pipelines/json.js';
import { splitKind } from '../../../../pipelines/stages/split.js';
import { type ArtifactStore, openFileStore, withOutputBudget } from '../../../../stores/artifacts/index.js';
import { encoded, ffmpeg } from '../../../support/ffmpeg.js';
import { collect, pieces, wavFile, wavOf } from '../../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-split-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

interface Part {
  readonly audio: Artifact;
  readonly startMs: number;
}

const splitting = (most = Number.POSITIVE_INFINITY) => createSplit({ store: withOutputBudget(store, most), ffmpeg });

async function split(file: Buffer, longestMs: number, signal = new AbortController().signal) {
  const artifact = await store.put('acme', pieces(file, 10_000), inspectorOf('audio'));
  const input = { audio: { ...artifact } as unknown as Json };
  const audio = createAudioPort(store, 'acme', { ffmpeg, signal });
  const request = { model: 'audio', with: { longestMs }, input, tenant: 'acme' };
  const output = await splitting()(request, { audio, signal, idempotencyKey: 'k' });
  expect(splitKind.output.safeParse(output).error).toBeUndefined();
  return { artifact, parts: output.parts as unknown as Part[] };
}

/** 16-bit samples as bytes: vitest compares typed arrays of a million elements too slowly. */
async function samplesOf(artifact: Artifact, sampleRate: number): Promise<Buffer> {
  const samples = await collect(createAudioPort(store, 'acme', { ffmpeg }).read(artifact, { sampleRate }));
  return Buffer.from(Int16Array.from(samples, (value) => Math.round(value * 32_768)).buffer);
}

async function joined(parts: readonly Part[], sampleRate: number): Promise<Buffer> {
  const all: Buffer[] = [];
  for (const { audio } of parts) all.push(await samplesOf(audio, sampleRate));
  return Buffer.concat(all);
}

/** Words of noise of different lengths with pauses between, loudness from a fixed sequence. */
function speech(sampleRate: number, seconds: number) {
  const samples = new Int16Array(sampleRate * seconds);
  const pauses: [from: number, to: number][] = [];
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed / 0x7fffffff;
  };
  for (let at = 0; at < samples.length; ) {
    const word = Math.floor((0.3 + random()) * sampleRate);
    const pause = Math.floor((0.15 + 0.2 * random()) * sampleRate);
    for (let i = at; i < Math.min(at + word, samples.length); i++) samples[i] = Math.round((random() - 0.5) * 30_000);
    pauses.push([at + word, at + word + pause]);
    at += word + pause;
  }
  return { samples, pauses };
}

const wavOfSamples = (samples: Int16Array, sampleRate: number) =>
  wavOf(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength), { sampleRate });

test.each([8000, 11_025, 22_050])('speech at %i Hz is cut in its pauses, and nothing is lost', async (sampleRate) => {
  const { samples, pauses } = speech(sampleRate, 41);
  const { parts } = await split(wavOfSamples(samples, sampleRate), 10_000);
  expect(parts.length).toBeGreaterThanOrEqual(5);
  expect(parts.length).toBeLessThanOrEqual(6);
  expect(parts[0]?.startMs).toBe(0);
  let start = 0;
  for (const [i, { audio, startMs }] of parts.entries()) {
    expect(audio).toMatchObject({ mime: 'audio/wav', sampleRate, channels: 1 });
    expect(startMs).toBe((start * 1000) / sampleRate);
    const length = (await samplesOf(audio, sampleRate)).length / 2;
    expect(length).toBeLessThanOrEqual(10 * sampleRate);
    start += length;
    if (i === parts.length - 1) continue;
    expect(length).toBeGreaterThanOrEqual(8 * sampleRate);
    const margin = Math.floor(0.009 * sampleRate); // the window of 20 ms is in the pause, the cut in its middle
    expect(pauses.some(([from, to]) => start >= from + margin && start <= to - margin)).toBe(true);
  }
  expect((await joined(parts, sampleRate)).equals(Buffer.from(samples.buffer))).toBe(true);
});

describe('a file', () => {
  test('no longer than a part is one part', async () => {
    const { parts } = await split(wavFile({ sampleRate: 8000, seconds: 2 }), 2000);
    expect(parts).toMatchObject([{ startMs: 0, audio: { durationMs: 2000 } }]);
  });

  test('one sample longer is two', async () => {
    const { parts } = await split(wavFile({ sampleRate: 8000, seconds: 2 + 1 / 8000 }), 2000);
    expect(parts.length).toBe(2);
    expect((await joined(parts, 8000)).length).toBe(2 * 16_001);
  });

  test('of two channels is mixed down at its own rate', async () => {
    const { artifact, parts } = await split(wavFile({ sampleRate: 22_050, channels: 2, seconds: 3 }), 1000);
    expect(parts.every(({ audio }) => audio.sampleRate === 22_050 && audio.channels === 1)).toBe(true);
    expect((await joined(parts, 22_050)).equals(await samplesOf(artifact, 22_050))).toBe(true);
  });

  describe('by ffmpeg', () => {
    test.each(['mp3', 'mp4', 'ogg (Opus)'])('of %s is decoded, at the rate that it turns out to have', async (as) => {
      const rate = as === 'ogg (Opus)' ? 48_000 : 44_100;
      const { artifact, parts } = await split(encoded(wavFile({ sampleRate: 44_100, seconds: 3 }), as), 1000);
      expect(parts.length).toBeGreaterThan(2);
      expect(parts.every(({ audio }) => audio.sampleRate === rate)).toBe(true);
      expect((await joined(parts, rate)).equals(await samplesOf(artifact, rate))).toBe(true);
    });
  });
});

test('longest out of bounds, another tenant’s audio and an abort are refused', async () => {
  for (const longestMs of [0, 999, 600_001, Number.NaN]) {
    await expect(split(wavFile(), longestMs)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'longest' }] },
    });
  }
  const artifact = await store.put('rival', pieces(wavFile(), 1000), inspectorOf('audio'));
  const input = { audio: { ...artifact } as unknown as Json };
  const { signal } = new AbortController();
  const request = { model: 'audio', with: { longestMs: 1000 }, input, tenant: 'acme' };
  await expect(
    splitting()(request, { audio: createAudioPort(store, 'rival'), signal, idempotencyKey: 'k' }),
  ).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  await expect(split(wavFile(), 1000, AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled');
});

test('the cut is in the last fifth, in the middle of the quietest 20 ms, the last of equals', () => {
  const samples = new Int16Array(10_000).fill(1000);
  samples.fill(0, 3000, 4000); // a longer pause, but too early
  samples.fill(10, 8500, 8700);
  expect(quietestCut(samples, 10_000)).toBe(8600);
  expect(quietestCut(new Int16Array(10_000), 10_000)).toBe(9900);
  expect(quietestCut(Int16Array.of(1, 2, 3), 10_000)).toBe(3);
});

test('audio whose parts are more than the call may write is refused before any of it is read', async () => {
  const file = wavFile({ sampleRate: 8_000, channels: 2, seconds: 2 });
  const artifact = await store.put('acme', pieces(file, 1_000), inspectorOf('audio'));
  const input = { audio: { ...artifact } as unknown as Json };
  const request = { model: 'audio', with: { longestMs: 1_000 }, input, tenant: 'acme' };
  const { signal } = new AbortController();
  const read = vi.spyOn(store, 'read');
  const call = (most: number, given = request) => {
    const audio = createAudioPort(withOutputBudget(store, most), 'acme');
    return splitting(most)(given, { audio, signal, idempotencyKey: 'k' });
  };
  const exceeded = { code: 'OUTPUT_BUDGET_EXCEEDED' };
  // 16,000 samples of mono in two parts at least.
  await expect(call(32_000)).rejects.toMatchObject(exceeded);
  const { sampleRate: _, ...unrated } = artifact;
  await expect(call(32_000, { ...request, input: { audio: unrated as unknown as Json } })).rejects.toMatchObject(
    exceeded,
  );
  expect(read).not.toHaveBeenCalled();
  const { parts } = await call(32_000 + 3 * 44);
  expect(parts).toHaveLength(3);
  read.mockRestore();
});

test('audio that makes too many parts is refused before any of it is read', async () => {
  const file = wavFile({ encoding: 'u8', sampleRate: 1_000, seconds: 4_002 });
  const artifact = await store.put('acme', pieces(file, 100_000), inspectorOf('audio'));
  const read = vi.spyOn(store, 'read');
  const input = { audio: { ...artifact } as unknown as Json };
  const request = { model: 'audio', with: { longestMs: 1_000 }, input, tenant: 'acme' };
  const { signal } = new AbortController();
  const audio = createAudioPort(store, 'acme');
  await expect(splitting()(request, { audio, signal, idempotencyKey: 'k' })).rejects.toThrow(/more than 4000 parts/);
  expect(read).not.toHaveBeenCalled();
  read.mockRestore();
});

test('a rate that the caller made up is INVALID_MEDIA', async () => {
  const artifact = await store.put('acme', pieces(wavFile(), 1000), inspectorOf('audio'));
  const { signal } = new AbortController();
  const input = { audio: { ...artifact, sampleRate: 1e12 } as unknown as Json };
  const request = { model: 'audio', with: { longestMs: 600_000 }, input, tenant: 'acme' };
  await expect(
    splitting()(request, { audio: createAudioPort(store, 'acme'), signal, idempotencyKey: 'k' }),
  ).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
});
