import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAudioPort, inspectorOf } from '../../../media/index.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { collect, pieces, type WavOptions, wavFile } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-audio-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

test('samples are stored as WAV and read at another rate', async () => {
  const port = createAudioPort(store, 'acme');
  const samples = Int16Array.from({ length: 24_000 }, (_, i) => 10_000 * Math.sin(i / 10));
  const artifact = await port.write(samples, { sampleRate: 24_000 });
  expect(artifact).toMatchObject({
    mime: 'audio/wav',
    bytes: 48_044,
    durationMs: 1000,
    sampleRate: 24_000,
    channels: 1,
  });
  const read = await collect(port.read(artifact, { sampleRate: 16_000 }));
  expect(read.length).toBe(16_000);
  expect(Math.max(...read)).toBeCloseTo(10_000 / 32_768, 2);
});

test('a read that converts says so once, one that does not says nothing', async () => {
  const texts: string[] = [];
  const port = createAudioPort(store, 'acme', { onConversion: (text) => texts.push(text) });
  const put = (options: WavOptions) => store.put('acme', pieces(wavFile(options), 999), inspectorOf('audio'));
  const read = async (options: WavOptions) => collect(port.read(await put(options), { sampleRate: 16_000 }));
  await read({ sampleRate: 16_000, encoding: 's24' });
  expect(texts).toEqual([]);
  await read({ sampleRate: 44_100, channels: 2, seconds: 3 });
  await read({ sampleRate: 16_000, channels: 6 });
  await read({ sampleRate: 8000, channels: 1 });
  expect(texts).toEqual([
    '44100 Hz stereo → 16000 Hz mono',
    '16000 Hz 6 channels → 16000 Hz mono',
    '8000 Hz mono → 16000 Hz mono',
  ]);
});

test('another tenant cannot read it', async () => {
  const artifact = await createAudioPort(store, 'acme').write(Int16Array.of(1, 2), { sampleRate: 8000 });
  expect(() => createAudioPort(store, 'rival').read(artifact, { sampleRate: 8000 })).toThrow(
    expect.objectContaining({ code: 'ARTIFACT_NOT_FOUND' }),
  );
});

test('no samples make no artifact', async () => {
  await expect(createAudioPort(store, 'acme').write(new Int16Array(), { sampleRate: 8000 })).rejects.toMatchObject({
    code: 'INVALID_MEDIA',
  });
});

test('an abort ends a read of WAV, with its reason', async () => {
  const artifact = await createAudioPort(store, 'acme').write(new Int16Array(1_000_000), { sampleRate: 8000 });
  const stop = new AbortController();
  const chunks = createAudioPort(store, 'acme', { signal: stop.signal }).read(artifact, { sampleRate: 8000 });
  let read = 0;
  const reading = (async () => {
    for await (const chunk of chunks) {
      read += chunk.length;
      stop.abort(new Error('cancelled'));
    }
  })();
  await expect(reading).rejects.toThrow('cancelled');
  expect(read).toBeLessThan(100_000);
});
