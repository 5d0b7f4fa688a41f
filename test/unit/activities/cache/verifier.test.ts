import { describe, expect, it } from 'vitest';
import { differenceOf } from '../../../../activities/cache/lexical-guard.js';
import { FEATURES } from '../../../../activities/cache/verifier/features.js';
import { scoreOf } from '../../../../activities/cache/verifier/verifier.js';
import { WEIGHTS } from '../../../../activities/cache/verifier/weights.js';
import { boost } from '../../../../bench/cache/boost.js';
import { readPairs } from '../../../../bench/cache/pairs.js';
import { mulberry32 } from '../../../../bench/random.js';
import { fastest } from '../../../support/fastest.js';

const score = (a: string, b: string, similarity: number): number => {
  const found = differenceOf(a, b);
  return found ? scoreOf(a, b, found, similarity) : 1;
};

describe('verifier', () => {
  it('was trained on the features that it is given', () => {
    expect(WEIGHTS.features).toEqual(FEATURES);
  });

  it('prefers other words for the same to other things', () => {
    const same = score('How do I get a fishing permit?', 'How can I obtain a fishing permit?', 0.95);
    const other = score('How do I get a fishing permit?', 'How can I get a hunting permit?', 0.8);
    expect(same).toBeGreaterThan(other + 0.3);
  });

  it('gives no score to a final difference', () => {
    const pairs = [
      ['Is it safe?', 'Is it not safe?'],
      ['How far is 5 km?', 'How far is 6 km?'],
      ['{"a": 1}', '{"a": 2}'],
    ] as const;
    for (const [a, b] of pairs) expect(score(a, b, 1)).toBe(0);
  });

  it('does not depend on the order of the two texts, and takes less than 10 ms', () => {
    const pairs = readPairs('bench/cache/sets/developer.jsonl');
    const times = pairs.map(({ a, b }) => {
      expect(score(b, a, 0.9)).toBeCloseTo(score(a, b, 0.9), 6);
      return fastest(() => score(a, b, 0.9), 3);
    });
    times.sort((a, b) => a - b);
    expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(10);
  });
});

describe('boosting', () => {
  it('learns a rule, the same from the same examples, and respects a sign', () => {
    const random = mulberry32(3);
    const examples = Array.from({ length: 400 }, () => {
      const row = [random(), random()];
      return { row, same: (row[0] as number) > 0.5 !== random() < 0.05, weight: 1 };
    });
    const options = { rounds: 20, depth: 2, rate: 0.3, leaf: 2, ridge: 1, monotone: [1, 0] as const };
    const forest = boost(examples, ['a', 'b'], options);
    expect(boost(examples, ['a', 'b'], options)).toEqual(forest);
    const against = boost(examples, ['a', 'b'], { ...options, monotone: [-1, 0] });
    const value = (trees: typeof forest, row: number[]) =>
      trees.trees.reduce<number>((sum, tree) => {
        let node = tree;
        while (typeof node !== 'number') node = (row[node[0]] as number) < node[1] ? node[2] : node[3];
        return sum + node;
      }, trees.bias);
    expect(value(forest, [0.9, 0.5])).toBeGreaterThan(value(forest, [0.1, 0.5]) + 2);
    expect(value(against, [0.9, 0.5])).toBeLessThanOrEqual(value(against, [0.1, 0.5]) + 0.6);
  });
});

describe('the developer’s set', () => {
  it('has at least 600 pairs of 25 kinds, and no pair of it is served wrong by the guard', () => {
    const pairs = readPairs('bench/cache/sets/developer.jsonl');
    expect(pairs.length).toBeGreaterThanOrEqual(600);
    expect(new Set(pairs.map(({ kind }) => kind)).size).toBeGreaterThanOrEqual(25);
    const wrong = pairs.filter(({ a, b, same }) => !same && differenceOf(a, b) === undefined);
    expect(wrong).toEqual([]);
  });
});
