import { describe, expect, it, vi } from 'vitest';
import { SAMPLE_RATE, skip, windows } from '../../../../activities/connectors/speech-windows.js';

const SECOND = SAMPLE_RATE;

/** Noise of loudness 0.5 with silence in the given ranges of seconds; deterministic. */
function speech(seconds: number, ...silences: [from: number, to: number][]): Float32Array {
  let state = 1;
  const samples = Float32Array.from({ length: Math.round(seconds * SECOND) }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647 - 0.5;
  });
  for (const [from, to] of silences) samples.fill(0, from * SECOND, to * SECOND);
  return samples;
}

async function* chunked(samples: Float32Array, size: number): AsyncGenerator<Float32Array, void> {
  for (let at = 0; at < samples.length; at += size) yield samples.subarray(at, at + size);
}

async function cut(samples: Float32Array, size = 4_096): Promise<Float32Array[]> {
  const parts: Float32Array[] = [];
  for await (const window of windows(chunked(samples, size))) parts.push(window.slice());
  return parts;
}

const seconds = (parts: Float32Array[]): number[] => parts.map(({ length }) => length / SECOND);

/** Whether two lists of windows hold the same samples. */
const same = (a: Float32Array[], b: Float32Array[]): boolean => bytes(a).equals(bytes(b)); // vitest's comparison takes seconds for a million samples
const bytes = (parts: Float32Array[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)));

describe('windows of audio', () => {
  it('gives none for no audio', async () => {
    expect(await cut(new Float32Array(0))).toEqual([]);
  });

  it.each([0.001, 3, 29.9, 30])('leaves %s s whole', async (length) => {
    expect(seconds(await cut(speech(length)))).toEqual([length]);
  });

  it('cuts in the middle of the pause, not in a word', async () => {
    const [first = 0, second = 0] = seconds(await cut(speech(40, [27, 27.4])));
    expect(first).toBeGreaterThanOrEqual(27.05);
    expect(first).toBeLessThanOrEqual(27.35);
    expect(first + second).toBeCloseTo(40);
  });

  it('does not cut at a pause before the last five seconds of the window', async () => {
    const [first = 0] = seconds(await cut(speech(40, [10, 12])));
    expect(first).toBeGreaterThan(25);
    expect(first).toBeLessThanOrEqual(30);
  });

  it.each([30.001, 30.3, 30.5, 31, 60, 60.2, 95.7])(
    'splits %s s into windows between 0.5 and 30 s that hold all of it',
    async (length) => {
      const samples = speech(length, [26, 26.2]);
      const parts = await cut(samples);
      for (const part of seconds(parts)) {
        expect(part).toBeLessThanOrEqual(30);
        expect(part).toBeGreaterThanOrEqual(0.5);
      }
      expect(same(parts, [samples])).toBe(true);
    },
  );

  it('cuts in the same places whatever the size of the chunks', async () => {
    const samples = speech(70, [28, 28.3], [55, 55.2]);
    const expected = seconds(await cut(samples, 70 * SECOND));
    for (const size of [1_000, 16_000, 479_999]) expect(seconds(await cut(samples, size))).toEqual(expected);
  });

  it('cuts in the same places after a resumed start', async () => {
    const samples = speech(95, [28, 28.3], [55, 55.2], [83, 83.5]);
    const [first, ...rest] = await cut(samples);
    const resumed: Float32Array[] = [];
    for await (const window of windows(skip(chunked(samples, 5_000), first?.length ?? 0))) resumed.push(window.slice());
    expect(seconds(resumed)).toEqual(seconds(rest));
    expect(same(resumed, rest)).toBe(true);
  });

  it('skips everything when resumed behind the end', async () => {
    const left: Float32Array[] = [];
    for await (const chunk of skip(chunked(speech(1), 1_000), SECOND)) left.push(chunk);
    expect(left).toEqual([]);
  });

  it('copies what it holds once for each window, not with each chunk', async () => {
    const samples = speech(10);
    const set = vi.spyOn(Object.getPrototypeOf(Float32Array.prototype) as Float32Array, 'set');
    const parts: number[] = [];
    for await (const { length } of windows(chunked(samples, 100), { sampleRate: 1_000, most: 60_000 }))
      parts.push(length);
    const copied = set.mock.calls.reduce((sum, [{ length }]) => sum + length, 0);
    set.mockRestore();
    expect(parts.reduce((sum, length) => sum + length)).toBe(samples.length);
    expect(copied).toBeLessThan(2 * samples.length);
  });

  it('takes silence without a pause to prefer', async () => {
    const parts = seconds(await cut(new Float32Array(65 * SECOND)));
    expect(parts.reduce((sum, part) => sum + part)).toBeCloseTo(65);
  });
});
