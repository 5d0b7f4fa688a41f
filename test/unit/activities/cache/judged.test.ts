import { expect, it } from 'vitest';
import { differenceOf } from '../../../../activities/cache/lexical-guard.js';
import { isTimely } from '../../../../activities/cache/timely.js';
import { readPairs } from '../../../../bench/cache/pairs.js';

/** Written by somebody who had seen neither the guard nor the other sets. It is for judging: no rule may be made for one of its pairs. */
const pairs = readPairs('bench/cache/sets/judged.jsonl');

/** What the guard would serve if every two texts had one embedding. */
const served = pairs.filter(({ a, b }) => differenceOf(a, b) === undefined && !isTimely(a) && !isTimely(b));

it('the guard serves none of 381 near misses that it was not made for', () => {
  expect(pairs.filter(({ same }) => !same)).toHaveLength(381);
  expect(served.filter(({ same }) => !same)).toEqual([]);
});

it('and every sixth of 120 everyday paraphrases', () => {
  expect(pairs.filter(({ same }) => same)).toHaveLength(120);
  expect(served.length).toBeGreaterThanOrEqual(20);
});
