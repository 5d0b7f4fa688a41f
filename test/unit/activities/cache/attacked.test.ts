import { expect, it } from 'vitest';
import { differenceOf } from '../../../../activities/cache/lexical-guard.js';
import { isTimely } from '../../../../activities/cache/timely.js';
import { readPairs } from '../../../../bench/cache/pairs.js';

/**
 * Near misses that were written to break the rules of the guard, by somebody who had its code, and everyday paraphrases that were written
 * before the rules for them.
 */
const pairs = readPairs('bench/cache/sets/attacked.jsonl');
const near = pairs.filter(({ same }) => !same);
const served = ({ a, b }: { a: string; b: string }) => differenceOf(a, b) === undefined;

it('the guard serves none of 499 near misses of 48 kinds, in either order', () => {
  expect(near).toHaveLength(499);
  expect(new Set(near.map(({ kind }) => kind)).size).toBe(48);
  expect(near.filter((pair) => served(pair) || served({ a: pair.b, b: pair.a }))).toEqual([]);
});

it.each(['unit_phrase', 'look_alike_drug', 'negation_by_prefix', 'jurisdiction'])(
  'a verifier is asked about none of the kind %s',
  (kind) => {
    const soft = near.filter((pair) => pair.kind === kind && differenceOf(pair.a, pair.b)?.soft !== false);
    expect(soft).toEqual([]);
  },
);

it('and every other of 150 everyday paraphrases', () => {
  const paraphrases = pairs.filter(({ same }) => same);
  expect(paraphrases).toHaveLength(150);
  const hits = paraphrases.filter((pair) => served(pair) && !isTimely(pair.a) && !isTimely(pair.b));
  expect(hits.length).toBeGreaterThanOrEqual(72);
});
