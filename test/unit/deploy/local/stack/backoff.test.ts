import { describe, expect, it } from 'vitest';
import { failuresAfter, restartDelay, STABLE_MS } from '../../../../../deploy/local/stack/backoff.js';

describe('restart backoff', () => {
  it('begins at 200 ms, doubles, and stays at 10 s', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 1000].map(restartDelay)).toEqual([
      200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000,
    ]);
  });

  it('counts failures in a row, and begins anew after a part that was ready for long enough', () => {
    expect(failuresAfter(0, undefined)).toBe(1);
    expect(failuresAfter(3, undefined)).toBe(4);
    expect(failuresAfter(3, STABLE_MS - 1)).toBe(4);
    expect(failuresAfter(3, STABLE_MS)).toBe(1);
  });

  it('is short for a part that works and is killed every few seconds, however often', () => {
    let failures = 0;
    for (let kill = 0; kill < 20; kill++) failures = failuresAfter(failures, 3_000);
    expect(restartDelay(failures)).toBe(200);
  });
});
