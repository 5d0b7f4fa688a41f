import { expect, it } from 'vitest';
import { hitsAfter, isGood, isHit } from '../../../../bench/cache-live/verdict.js';

const measured = {
  requests: 100,
  maxErrorRate: 0.05,
  killed: true,
  failed: 0,
  foreign: 0,
  least: 0,
  hits: [3, 50, 51, 90],
};

it('is good only if the cache has hits again after its store was killed', () => {
  expect(isGood(measured)).toBe(true);
  expect(hitsAfter(measured)).toBe(2);
  expect(isGood({ ...measured, hits: [3, 50] })).toBe(false);
  expect(isGood({ ...measured, hits: [3, 50], killed: false })).toBe(true);
});

it('is not good with failures, answers of others, or more errors than stated', () => {
  expect(isGood({ ...measured, failed: 1 })).toBe(false);
  expect(isGood({ ...measured, foreign: 1 })).toBe(false);
  expect(isGood({ ...measured, least: 0.06 })).toBe(false);
});

it('counts tiers as hits, and no answer that another request waited for', () => {
  expect(['exact', 'guard', 'verifier', 'shared', 'miss', 'bypass'].map((by) => isHit({ by }))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
