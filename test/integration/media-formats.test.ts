import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { createSplit } from '../../activities/media/split.js';
import { inspectorOf } from '../../media/index.js';
import { toInt16 } from '../../media/samples.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { Json } from '../../pipelines/json.js';
import { withOutputBudget } from '../../stores/artifacts/index.js';
import { encoded, ffmpeg } from '../support/ffmpeg.js';
import { openSpeech, wordAccuracy } from '../support/speech.js';
import { collect, pieces } from '../support/wav-samples.js';

const QUESTION = 'What is the capital of France?';
const TENANT = 'media-formats';
const RATE = 16_000;

const { store, audio, recognise } = await openSpeech(TENANT);
const put = (file: Buffer) => store.put(TENANT, pieces(file, 10_000), inspectorOf('audio'));
const question = await readFile('deploy/local/audio/question.wav');

describe('by ffmpeg', () => {
  test.each(['mp3', 'flac', 'ogg (Opus)', 'ogg (Vorbis)', 'webm', 'mp4'])('speech in %s is heard', async (as) => {
    const recognised = await recognise(await put(encoded(question, as)));
    expect(wordAccuracy(QUESTION, recognised)).toBe(1);
  });
});

test('long speech is split in its pauses: every part is heard whole', async () => {
  const once = toInt16(await collect(audio.read(await put(question), { sampleRate: RATE })));
  const pause = new Int16Array(RATE / 4);
  const long = Array.from({ length: 12 }, () => [once, pause]).flat();
  const whole = new Int16Array(long.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of long) {
    whole.set(part, at);
    at += part.length;
  }
  const source = await audio.write(whole, { sampleRate: RATE });
  const input = { audio: { ...source } as unknown as Json };
  const { signal } = new AbortController();
  const request = { model: 'audio', with: { longestMs: 8_000 }, input, tenant: TENANT };
  const split = createSplit({ store: withOutputBudget(store, Number.POSITIVE_INFINITY), ffmpeg });
  const { parts } = await split(request, { audio, signal, idempotencyKey: 'k' });
  const texts: string[] = [];
  for (const part of parts as unknown as { audio: Artifact }[]) texts.push(await recognise(part.audio));
  expect(texts.length).toBeGreaterThan(2);
  expect(wordAccuracy(Array(12).fill(QUESTION).join(' '), texts.join(' '))).toBeGreaterThan(0.95);
});
