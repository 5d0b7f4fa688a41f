import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { conformInput, convertAudio, createAudioPort, inspectorOf } from '../../../media/index.js';
import { WavReader } from '../../../media/wav.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import type { Json } from '../../../pipelines/json.js';
import { type AudioFormat, audio, image } from '../../../pipelines/media.js';
import { type ArtifactStore, openFileStore } from '../../../stores/artifacts/index.js';
import { encoded, ffmpeg } from '../../support/ffmpeg.js';
import { collect, pieces, wavFile, wavOf } from '../../support/wav-samples.js';

let root: string;
let store: ArtifactStore;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'millrace-convert-'));
  store = await openFileStore(root);
});
afterAll(() => rm(root, { recursive: true }));

const put = (file: Buffer) => store.put('acme', pieces(file, 10_000), inspectorOf('audio'));

async function samplesOf(artifact: Artifact) {
  const reader = new WavReader();
  const bytes: Uint8Array[] = [];
  for await (const chunk of store.read('acme', artifact.uri))
    bytes.push(...[...reader.push(chunk)].map((part) => part.slice()));
  const { format } = reader.end();
  const data = Buffer.concat(bytes);
  return { format, samples: new Int16Array(data.buffer, data.byteOffset, data.length / 2) };
}

describe('audio is converted', () => {
  test('to another rate, keeping its channels apart', async () => {
    const frames = Buffer.alloc(44_100 * 4);
    for (let i = 0; i < 44_100; i++) {
      frames.writeInt16LE(Math.round(10_000 * Math.sin((2 * Math.PI * 440 * i) / 44_100)), i * 4);
      frames.writeInt16LE(-5000, i * 4 + 2);
    }
    const source = await put(wavOf(frames, { sampleRate: 44_100, channels: 2 }));
    const texts: string[] = [];
    const converted = await convertAudio(
      store,
      'acme',
      source,
      { rate: 16_000 },
      { onConversion: (t) => texts.push(t) },
    );
    expect(converted).toMatchObject({ mime: 'audio/wav', sampleRate: 16_000, channels: 2, durationMs: 1000 });
    expect(texts).toEqual(['44100 Hz stereo → 16000 Hz stereo']);
    const { format, samples } = await samplesOf(converted);
    expect(format).toMatchObject({ encoding: 's16', sampleRate: 16_000, channels: 2 });
    expect(samples.length).toBe(32_000);
    let [left, right] = [0, 0];
    for (let i = 1000; i < 15_000; i++) {
      const sine = 10_000 * Math.sin((2 * Math.PI * 440 * i) / 16_000);
      left = Math.max(left, Math.abs((samples[2 * i] ?? 0) - sine));
      right = Math.max(right, Math.abs((samples[2 * i + 1] ?? 0) + 5000));
    }
    expect(left).toBeLessThan(5);
    expect(right).toBeLessThan(5);
  });

  test.each<[AudioFormat, Partial<Artifact>]>([
    [
      { rate: 16_000, channels: 1 },
      { sampleRate: 16_000, channels: 1 },
    ],
    [{ channels: 1 }, { sampleRate: 48_000, channels: 1 }],
    [{ channels: 3 }, { sampleRate: 48_000, channels: 3 }],
  ])('to %j', async (format, expected) => {
    const source = await put(wavFile({ sampleRate: 48_000, channels: 2, seconds: 0.7 }));
    expect(await convertAudio(store, 'acme', source, format)).toMatchObject({ ...expected, durationMs: 700 });
  });

  describe('by ffmpeg', () => {
    test('from MP3, once for each content', async () => {
      const source = await put(encoded(wavFile({ sampleRate: 44_100, seconds: 1 }), 'mp3'));
      const texts: string[] = [];
      const convert = () =>
        convertAudio(
          store,
          'acme',
          source,
          { rate: 16_000, channels: 1 },
          { ffmpeg, onConversion: (text) => texts.push(text) },
        );
      const converted = await convert();
      expect(await convert()).toEqual(converted);
      expect(texts[0]).toBe('mp3 decoded by ffmpeg, 44100 Hz mono → 16000 Hz mono');
      const { samples } = await samplesOf(converted);
      const read = await collect(createAudioPort(store, 'acme', { ffmpeg }).read(source, { sampleRate: 16_000 }));
      expect(Int16Array.from(read, (value) => Math.round(value * 32_768))).toEqual(Int16Array.from(samples));
    });
  });
});

test('what fits is left alone, bytes unread', async () => {
  const source = await put(wavFile({ sampleRate: 16_000, channels: 1 }));
  const lost = { ...source, uri: source.uri.replace(/.$/, '0') };
  for (const format of [{}, { rate: 16_000 }, { rate: 16_000, channels: 1, encoding: 'wav' } as const]) {
    expect(await convertAudio(store, 'acme', lost, format)).toBe(lost);
  }
});

test('what cannot be made is CONVERSION_UNAVAILABLE; another tenant’s does not exist', async () => {
  const source = await put(wavFile());
  await expect(convertAudio(store, 'acme', source, { encoding: 'mp3' })).rejects.toMatchObject({
    code: 'CONVERSION_UNAVAILABLE',
    message: expect.stringMatching(/audio\/wav, not mp3 as declared/),
  });
  await expect(convertAudio(store, 'rival', source, { rate: 8000 })).rejects.toMatchObject({
    code: 'ARTIFACT_NOT_FOUND',
  });
});

test('an input conforms to its schema at any depth', async () => {
  const [wide, right] = [await put(wavFile({ sampleRate: 48_000 })), await put(wavFile({ sampleRate: 16_000 }))];
  const format = { rate: 16_000, channels: 1 } as const;
  const schema = z.object({
    speech: audio(format),
    speaker: z.object({ voice: audio(format).optional(), name: z.string() }),
    clips: z.array(audio(format)),
    any: audio(),
    picture: image().nullable(),
    note: z.unknown(),
  });
  const value = (artifact: Artifact): Json => ({ ...artifact }) as unknown as Json;
  const input = {
    speech: value(wide),
    speaker: { voice: value(wide), name: 'Ada' },
    clips: [value(right), value(wide)],
    any: value(wide),
    picture: null,
    note: value(wide),
  };
  const converted: string[] = [];
  const convert = (artifact: Artifact, to: AudioFormat, at: string) => {
    converted.push(`${at} ${JSON.stringify(to)}`);
    return convertAudio(store, 'acme', artifact, to);
  };
  const conformed = await conformInput(schema, input, convert);
  const narrow = expect.objectContaining({ sampleRate: 16_000, channels: 1 });
  expect(conformed).toEqual({
    ...input,
    speech: narrow,
    speaker: { voice: narrow, name: 'Ada' },
    clips: [value(right), narrow],
  });
  const wanted = JSON.stringify(format);
  expect(converted).toEqual([`speech ${wanted}`, `speaker.voice ${wanted}`, `clips.1 ${wanted}`]);
  expect(schema.safeParse(conformed).success).toBe(true);
  expect(await conformInput(schema, { speech: 5, clips: 'no' }, convert)).toEqual({ speech: 5, clips: 'no' });
});
