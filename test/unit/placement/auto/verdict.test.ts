import { describe, expect, it } from 'vitest';
import { type Evidence, objectionsTo, readPolicy } from '../../../../placement/auto/index.js';
import { placedPool, placementOf } from '../../../support/placements.js';

const from = placementOf([placedPool('whisper', [['g/1'], ['g/2']])]);
const to = placementOf([placedPool('whisper', [['g/2'], ['g/3']])]);
const policy = (more = '') => readPolicy(`format: 1\ndrifts: [rate]\ndevices: 9\n${more}`).value;
const good: Evidence = {
  ...{ windowMs: 300_000, started: 1_000, completed: 1_000, failed: 0 },
  budgets: [{ of: 'p99', share: 0.99, ms: 400, count: 1_000, late: 10 }],
  lost: [],
};
/** What speaks against it; in brackets, what the change itself has not broken. */
const of = (after: Partial<Evidence>, before: Partial<Evidence> = {}, more = '') =>
  objectionsTo({ from, to, before: { ...good, ...before }, after: { ...good, ...after } }, policy(more)).map(
    ({ why, isOwn }) => (isOwn ? why : `(${why})`),
  );
const late = (count: number, beyond: number) => ({
  budgets: [{ of: 'p99', share: 0.99, ms: 400, count, late: beyond }],
});
const lost = (device: string) => ({ lost: [{ device, because: 'silent' }] });

describe('what speaks against a placement that was applied', () => {
  it('is nothing if no more runs fail or are late than may be or than before', () => {
    expect(of({})).toEqual([]);
  });

  it('is a device that it has added and that serves nothing, not one that the placement before uses too', () => {
    expect(of(lost('g/3'))).toEqual(['lost']);
    expect(of(lost('g/2'))).toEqual([]);
    expect(of(lost('g/3'), lost('g/1'))).toEqual(['(lost)']);
    // Of another model, both have a server there.
    const tts = placedPool('tts', [['g/3']]);
    const [before, after] = [from, to].map(({ pools }) => placementOf([...pools, tts]));
    if (!before || !after) throw new Error('no placements');
    const measured = { before: good, after: { ...good, ...lost('g/3') } };
    const objections = objectionsTo({ from: before, to: after, ...measured }, policy());
    expect(objections).toMatchObject([{ why: 'lost', isOwn: true }]);
  });

  it('is a failure of more runs than may fail or failed before, by more than chance', () => {
    expect(of({ failed: 16, completed: 984 })).toEqual([]);
    expect(of({ failed: 17, completed: 983 })).toEqual(['failed']);
    expect(of({ failed: 60, completed: 940 }, { failed: 60, completed: 940 })).toEqual([]);
    expect(of({ failed: 60, completed: 940 }, {}, 'verify: { failed: 0.1 }\n')).toEqual([]);
    // Above what may fail, and not clearly above what failed before.
    expect(of({ failed: 17, completed: 983 }, { failed: 5, completed: 995 })).toEqual(['(failed)']);
    expect(of({ failed: 300, completed: 700 }, lost('g/1'))).toEqual(['(failed)']);
  });

  it('is nothing of few runs, also not that one of two failed before', () => {
    expect(of({ failed: 10, completed: 9, started: 19 })).toEqual([]);
    expect(of({ failed: 500, completed: 500 }, { failed: 1, completed: 1, started: 2 })).toEqual(['(failed)']);
    expect(of({ failed: 10, completed: 9, started: 19 }, {}, 'verify: { runs: 15 }\n')).toEqual(['failed']);
  });

  it('is no failure of runs that end before the good ones that began with them', () => {
    // A run takes minutes, and one in a hundred is refused at once.
    expect(of({ started: 1_000, failed: 10, completed: 400 })).toEqual([]);
    expect(of({ started: 1_000, failed: 30, completed: 400 })).toEqual(['failed']);
  });

  it('is runs that begin and do not end, unless more of them come', () => {
    // Also if as many end well as a change is judged by.
    expect(of({ started: 1_000, completed: 333 })).toEqual(['stuck']);
    expect(of({ started: 1_000, completed: 334 })).toEqual([]);
    // Callers have cancelled as many before.
    expect(of({ started: 1_000, completed: 210 }, { completed: 600 })).toEqual([]);
    expect(of({ started: 39, completed: 0 })).toEqual([]);
    expect(of({ started: 2_000, completed: 19 })).toEqual(['(stuck)']);
    expect(of({ started: 1_000, completed: 19 }, lost('g/1'))).toEqual(['(stuck)']);
  });

  it('is not the change’s doing where a device that both have is lost, unless it is smaller', () => {
    const failed = { failed: 60, completed: 940, ...lost('g/2') };
    expect([of(failed), of({ ...late(1_000, 60), ...lost('g/2') })]).toEqual([['(failed)'], ['(late)']]);
    const less = { ...to, costPerHour: 0.9 };
    expect(objectionsTo({ from, to: less, before: good, after: { ...good, ...failed } }, policy())).toMatchObject([
      { why: 'failed', isOwn: true },
    ]);
  });

  it('is an error budget that is spent, unless more of it was before', () => {
    expect(of(late(1_000, 16))).toEqual([]);
    expect(of(late(1_000, 60))).toEqual(['late']);
    expect(of(late(1_000, 90), late(500, 50))).toEqual([]);
    expect(of(late(1_000, 400), late(500, 50))).toEqual(['(late)']);
    expect(of(late(0, 0), late(0, 0))).toEqual([]);
    expect(of(late(1_000, 60), lost('g/1'))).toEqual(['(late)']);
    // One run that was looked at and late lets not all be late.
    expect(of(late(1_000, 400), late(1, 1))).toEqual(['(late)']);
  });

  it('is also an error budget of which fewer runs or calls are looked at than must end', () => {
    const calls = (beyond: number) => ({
      budgets: [{ of: 'voice/hear latency p99', stage: 'voice/hear', share: 0.99, ms: 400, count: 100, late: beyond }],
    });
    expect(of(calls(30), calls(1), 'verify: { runs: 500 }\n')).toEqual(['late']);
    // Of a thousand that have ended, ten have failed: they have no time.
    expect(of({ completed: 990, failed: 10, ...late(990, 60) }, {}, 'verify: { runs: 1000 }\n')).toEqual(['late']);
    expect(of(late(20, 10), {}, 'verify: { runs: 50 }\n')).toEqual(['late']);
    expect(of(late(19, 10), {}, 'verify: { runs: 50 }\n')).toEqual([]);
    expect(of(late(15, 10), {}, 'verify: { runs: 15 }\n')).toEqual(['late']);
  });

  it('is not the change’s doing where more runs come, unless it is smaller by all figures', () => {
    const at = (more: Partial<typeof to>, after: Partial<Evidence>) =>
      objectionsTo(
        { from, to: { ...to, ...more }, before: good, after: { ...good, started: 1_500, ...after } },
        policy(),
      ).map(({ why, isOwn }) => (isOwn ? why : `(${why})`));
    for (const [why, after] of [
      ['failed', { failed: 60, completed: 940 }],
      ['late', late(1_000, 60)],
    ] as const) {
      expect(at({}, after)).toEqual([`(${why})`]);
      expect(at({ ratePerSecond: 2 }, after)).toEqual([`(${why})`]);
      expect(at({ ratePerSecond: 0.9 }, after)).toEqual([why]);
      expect(at({ costPerHour: 0.9 }, after)).toEqual([why]);
      // Servers have become slower: more of them for the rate that was measured.
      expect(at({ ratePerSecond: 0.9, costPerHour: 1.5 }, after)).toEqual([`(${why})`]);
      expect(at({ ratePerSecond: 1.1, costPerHour: 0.5 }, after)).toEqual([`(${why})`]);
    }
  });
});
