import { expect, test } from 'vitest';
import { type Converter, Converters } from '../../../media/converters.js';

const made: Converter[] = [];
const destroyed: Converter[] = [];
const pool = new Converters(async (inputSampleRate, outputSampleRate) => {
  const converter: Converter = {
    ...{ inputSampleRate, outputSampleRate, ratio: outputSampleRate / inputSampleRate },
    full: (samples) => samples,
    destroy: () => void destroyed.push(converter),
  };
  made.push(converter);
  return converter;
});

test('streams one after the other have one converter, each with its own rates', async () => {
  for (const [from, to] of [
    [8_000, 16_000],
    [1_000, 24_000],
    [48_000, 16_000],
  ] as const) {
    const converter = await pool.take(from, to);
    expect([converter.inputSampleRate, converter.outputSampleRate, converter.ratio]).toEqual([from, to, to / from]);
    pool.giveBack(converter);
  }
  expect(made).toHaveLength(1);
});

test('streams at the same time have one each, and not all of many are kept', async () => {
  const taken = await Promise.all(Array.from({ length: 40 }, () => pool.take(8_000, 16_000)));
  expect(new Set(taken).size).toBe(40);
  for (const converter of taken) pool.giveBack(converter);
  expect(destroyed).toHaveLength(8);
  const again = await Promise.all(Array.from({ length: 32 }, () => pool.take(8_000, 16_000)));
  expect(made).toHaveLength(40);
  expect(again.some((converter) => destroyed.includes(converter))).toBe(false);
});
