import { describe, expect, it } from 'vitest';
import { failuresAfter, RecentEnds, restartDelay, STABLE_MS } from '../../../../../deploy/local/stack/backoff.js';

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

  /** The delays of a part that ends so many times, each time after it was ready for so long. */
  const delays = (times: number, readyMs: number, recent = new RecentEnds()) =>
    Array.from({ length: times }, () => recent.add(readyMs));

  it('is short for a part that works and is killed a few times, and however often every five seconds', () => {
    expect(delays(5, 2_500)).toEqual([200, 200, 200, 200, 200]);
    expect(new Set(delays(100, 5_000))).toEqual(new Set([200]));
  });

  it('grows for a part that ends soon after it is ready each time', () => {
    const all = delays(20, 2_500);
    expect(all.at(-1)).toBe(10_000);
    expect(all).toEqual([...all].sort((one, other) => one - other));
  });

  it('is short again for a part that was well for a minute', () => {
    const recent = new RecentEnds();
    expect(delays(1_000, 100, recent).at(-1)).toBe(10_000);
    expect(recent.add(60_000)).toBe(200);
  });
});
