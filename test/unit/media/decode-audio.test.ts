import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
