import { describe, expect, it } from 'vitest';
import { type Evidence, readPolicy, unjudgedIn } from '../../../../placement/auto/index.js';

const policy = (more = '') => readPolicy(`format: 1\ndrifts: [rate]\ndevices: 9\n${more}`).value;
const STAGE = { of: 'voice/answer latency p99', stage: 'voice/answer' };

/** Of ended runs, with so many of them or so many calls of a stage looked at. */
const seen = (
  ended: number,
  count: number,
  of: { readonly of: string; readonly stage?: string } = STAGE,
): Evidence => ({
  ...{ windowMs: 300_000, started: ended, completed: ended, failed: 0, lost: [] },
  budgets: [{ ...of, share: 0.99, ms: 400, count, late: 0 }],
});
const unjudged = (before: Evidence, after: Evidence, more = '') => unjudgedIn({ before, after }, policy(more));
const isDoubt = (before: Evidence, after: Evidence, more = '') =>
  unjudged(before, after, more).map((each) => each.isDoubt);

describe('an objective that is not judged', () => {
  it('has less than twenty runs or calls, or than verify.runs where those are fewer', () => {
    expect(unjudged(seen(1_000, 60), seen(1_000, 20), 'verify: { runs: 1000 }\n')).toEqual([]);
    expect(unjudged(seen(1_000, 60), seen(1_000, 19))).toMatchObject([
      { text: 'voice/answer latency p99 (19 calls, fewer than 20)' },
    ]);
    expect(unjudged(seen(1_000, 60), seen(1_000, 5), 'verify: { runs: 5 }\n')).toEqual([]);
    expect(unjudged(seen(1_000, 60), seen(1_000, 4), 'verify: { runs: 5 }\n')).toMatchObject([
      { text: 'voice/answer latency p99 (4 calls, fewer than 5)' },
    ]);
  });

  it('is a doubt if as many runs had shown enough before, by more than chance', () => {
    // Of both, a hundred runs were looked at.
    expect(isDoubt(seen(1_000, 60), seen(500, 3))).toEqual([true]);
    expect(isDoubt(seen(1_000, 24), seen(500, 18))).toEqual([false]);
    const runs = { of: 'p99' };
    const failing = { ...seen(20, 3, runs), completed: 3, failed: 17 };
    expect(isDoubt(seen(300, 300, runs), failing)).toEqual([true]);
  });

  it('is none for a stage that is hardly ever called, or where fewer runs end', () => {
    expect(isDoubt(seen(1_000, 12), seen(1_000, 0))).toEqual([false]);
    expect(isDoubt(seen(1_000, 0), seen(1_000, 0))).toEqual([false]);
    expect(isDoubt(seen(1_000, 60), seen(30, 15))).toEqual([false]);
    expect(isDoubt(seen(0, 0), seen(1_000, 0))).toEqual([false]);
  });

  it('is one that was not among those before', () => {
    expect(isDoubt({ ...seen(1_000, 60), budgets: [] }, seen(1_000, 3))).toEqual([false]);
  });

  it('may be judged when it is measured for as long again', () => {
    expect([9, 10].map((count) => unjudged(seen(30, 12), seen(30, count))[0]?.isSoon)).toEqual([false, true]);
  });
});
