import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createAudioPort, inspectorOf } from '../../../media/index.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { encoded, ffmpeg } from '../../support/ffmpeg.js';
import { pieces, wavFile } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-decode-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

/** The share of the time in which the event loop was busy while a file was read, and the seconds of it. */
async function busy(file: Buffer): Promise<{ share: number; seconds: number }> {
  const artifact = await store.put('acme', pieces(file, 64 * 1024), inspectorOf('audio'));
  const before = performance.eventLoopUtilization();
  let samples = 0;
  for await (const chunk of createAudioPort(store, 'acme', { ffmpeg }).read(artifact, { sampleRate: 16_000 }))
    samples += chunk.length;
  return { share: performance.eventLoopUtilization(before).utilization, seconds: samples / 16_000 };
}

test.each([
  ['32 KB of FLAC', () => encoded(wavFile({ sampleRate: 48_000, seconds: 90, hz: 0 }), 'flac'), 32 * 1024],
  ['256 KB of 8-bit WAV', () => wavFile({ sampleRate: 1_000, encoding: 'u8', seconds: 200 }), 256 * 1024],
])('the event loop is free while a long file below %s is read', async (_, make, bytes) => {
  await busy(wavFile({ sampleRate: 48_000, seconds: 21 })); // starts the thread
  const file = make();
  expect(file.length).toBeLessThan(bytes);
  const { share, seconds } = await busy(file);
  expect(seconds).toBeGreaterThan(89);
  expect(share).toBeLessThan(0.6);
});

test('a short compressed file waits for no thread', async () => {
  const file = encoded(wavFile({ sampleRate: 16_000, seconds: 1 }), 'webm');
  expect(file.length).toBeLessThan(32 * 1024);
  const asked = vi.spyOn(Worker.prototype, 'postMessage');
  const { seconds } = await busy(file);
  expect(asked).not.toHaveBeenCalled();
  expect(seconds).toBeCloseTo(1, 1);
  asked.mockRestore();
});

test('a small compressed file that turns out to be long is given whole, by the thread', async () => {
  const wav = wavFile({ sampleRate: 8_000, seconds: 30, hz: 0 });
  const asked = vi.spyOn(Worker.prototype, 'postMessage');
  const { seconds } = await busy(encoded(wav, 'flac'));
  expect(asked).toHaveBeenCalledOnce();
  expect(seconds).toBe(30);
  asked.mockRestore();
});
