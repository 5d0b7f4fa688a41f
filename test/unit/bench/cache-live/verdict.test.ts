import { expect, it } from 'vitest';
import { hitsAfter, isGood, isHit, overSeeds } from '../../../../bench/cache-live/verdict.js';

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
  expect(['exact', 'guard', 'verifier', 'entailment'].every((by) => isHit({ by }))).toBe(true);
  expect(['shared', 'miss', 'bypass'].some((by) => isHit({ by }))).toBe(false);
});

it('keeps a stated rate over several seeds if a tenth of them at most has more errors', () => {
  const seeds = (broken: number, more: object = {}) =>
    Array.from({ length: 20 }, (_, seed) => ({
      ...{ seed, failed: 0, foreign: 0, hitRate: 0.5, hitsAfterKill: null },
      ...{ errorRate: seed < broken ? 0.06 : 0.05, ...more },
    }));
  expect(overSeeds(seeds(2), 0.05)).toMatchObject({
    ...{ seeds: 20, broken: [0, 1], brokenShare: 0.1, worst: 0.06, hitRate: 0.5, good: true },
  });
  expect(overSeeds(seeds(3), 0.05)).toMatchObject({ broken: [0, 1, 2], good: false });
  expect(overSeeds(seeds(0, { failed: 1 }), 0.05)).toMatchObject({ failed: 20, good: false });
  expect(overSeeds(seeds(0, { foreign: 1 }), 0.05).good).toBe(false);
  expect(overSeeds(seeds(0, { hitsAfterKill: 0 }), 0.05).good).toBe(false);
});
