import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCodeArtifacts, inspectorOf } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { type ArtifactStore, openFileStore, withOutputBudget } from '../../../stores/artifacts/index.js';
import { encoded, ffmpeg } from '../../support/ffmpeg.js';
import { pieces, type WavOptions, wavFile } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-code-artifacts-'));
  store = await openFileStore(root, { tenantBytes: 8_000_000 });
});
afterAll(() => rm(root, { recursive: true }));

const of = (tenant = 'acme', mostBytes = 3_000_000, signal?: AbortSignal, heard: string[] = []) =>
  createCodeArtifacts(withOutputBudget(store, mostBytes), tenant, {
    mostBytes,
    ffmpeg,
    signal,
    onConversion: (text) => heard.push(text),
  });
const put = (file: Buffer) => store.put('acme', pieces(file, 999), inspectorOf('audio'));
const wav = (options: WavOptions) => put(wavFile(options));

describe('bytes', () => {
  test('come back as they were written, with their type', async () => {
    const bytes = Buffer.alloc(2_500_000, 'mill');
    const written = await of().write(bytes, { type: 'application/x-protobuf' });
    expect(written).toMatchObject({ mime: 'application/x-protobuf', bytes: 2_500_000 });
    expect(Buffer.from(await of().read(written)).equals(bytes)).toBe(true);
    const none = await of().write(new Uint8Array(), { type: 'text/plain' });
    expect(await of().read(none)).toHaveLength(0);
  });

  test('of another tenant do not exist', async () => {
    const written = await of().write(Buffer.from('mine'), { type: 'text/plain' });
    await expect(of('rival').read(written)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });

  test('are limited as those of every stage, whatever the reference says', async () => {
    const large = await of().write(Buffer.alloc(5_000), { type: 'text/plain' });
    for (const bytes of [5_000, 1])
      await expect(of('acme', 4_999).read({ ...large, bytes })).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    const small = of('acme', 4_999);
    await small.write(Buffer.alloc(2_500), { type: 'text/plain' });
    await expect(small.write(Buffer.alloc(2_500, 1), { type: 'text/plain' })).rejects.toMatchObject({
      code: 'OUTPUT_BUDGET_EXCEEDED',
    });
    await expect(of('big', 9_000_000).write(Buffer.alloc(8_000_001), { type: 'text/plain' })).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
  });

  test.each(['', 'PNG', 'image/PNG', 'image/png; q=1', 'a/b/c', 'image/png\r\nx: y'])(
    'of the type "%s" are refused',
    async (type) => {
      await expect(of().write(Buffer.from('x'), { type })).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
    },
  );

  test('of audio and images are looked at', async () => {
    const spoken = await of().write(wavFile({ sampleRate: 8_000, seconds: 1 }), { type: 'audio/wav' });
    expect(spoken).toMatchObject({ mime: 'audio/wav', durationMs: 1_000, sampleRate: 8_000, channels: 1 });
    for (const type of ['audio/mpeg', 'image/png', 'image/svg+xml'])
      await expect(of().write(wavFile(), { type })).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
  });

  test('are not read for a call that is over', async () => {
    const large = await of().write(Buffer.alloc(1_000_000), { type: 'text/plain' });
    await expect(of('acme', 3_000_000, AbortSignal.abort(new Error('over'))).read(large)).rejects.toThrow('over');
  });
});

describe('samples', () => {
  test('come at their own rate, channels mixed', async () => {
    const heard: string[] = [];
    const stereo = await wav({ sampleRate: 22_050, channels: 2, seconds: 3, amplitude: 0.5 });
    const { samples, sampleRate } = await of('acme', 3_000_000, undefined, heard).readAudio(stereo);
    expect([samples.length, sampleRate]).toEqual([66_150, 22_050]);
    expect(Math.max(...samples.subarray(0, 22_050))).toBeCloseTo(0.5, 2);
    expect(heard).toEqual(['22050 Hz stereo → 22050 Hz mono']);
  });

  test('of other encodings are decoded', async () => {
    const heard: string[] = [];
    const flac = await put(encoded(wavFile({ sampleRate: 16_000, seconds: 1 }), 'flac'));
    const { samples, sampleRate } = await of('acme', 3_000_000, undefined, heard).readAudio(flac);
    expect([samples.length, sampleRate]).toEqual([16_000, 16_000]);
    expect(heard).toEqual(['flac decoded by ffmpeg, 16000 Hz mono']);
  });

  test('are limited by their size in memory, not by that of the file', async () => {
    const bytes: Artifact = await wav({ encoding: 'u8', sampleRate: 8_000, seconds: 1 });
    expect(bytes.bytes).toBeLessThan(31_999);
    await expect(of('acme', 31_999).readAudio(bytes)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
    expect((await of('acme', 32_000).readAudio(bytes)).samples).toHaveLength(8_000);
  });

  test('of another tenant do not exist', async () => {
    await expect(of('rival').readAudio(await wav({}))).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });

  test('are written as WAV, clipped, and stay as they are for their owner', async () => {
    const samples = Float32Array.of(-2, -1, 0, 0.5, 2, Number.NaN);
    const written = await of().writeAudio(samples, 8_000);
    expect(written).toMatchObject({ mime: 'audio/wav', sampleRate: 8_000, channels: 1 });
    expect(samples[0]).toBe(-2);
    const file = Buffer.from(await of().read(written));
    const pcm = Array.from({ length: 6 }, (_, i) => file.readInt16LE(44 + 2 * i));
    expect(pcm).toEqual([-32_768, -32_768, 0, 16_384, 32_767, 0]);
    for (const [none, rate] of [[new Float32Array(), 8_000] as const, [samples, 500] as const])
      await expect(async () => of().writeAudio(none, rate)).rejects.toMatchObject({ code: 'INVALID_MEDIA' });
  });
});
