import { describe, expect, it } from 'vitest';
import { tracedInput } from '../../../bench/planner/instances.js';
import { costOf } from '../../../placement/planner/candidate.js';
import { firstDrafts } from '../../../placement/planner/improve.js';
import { buildProblem, Judge } from '../../../placement/planner/index.js';

/** A cluster on which full devices of a fast kind cost half of what slower ones cost that must stand idle for the objective. */
const problem = buildProblem(tracedInput({ seed: 2_002, stages: 12, kinds: 3, devices: 64 }));

describe('the first drafts', () => {
  it('are tried with full devices first, so that little time is enough for the cheapest one', () => {
    const judge = new Judge(problem);
    const [first, ...others] = firstDrafts(problem, judge, () => judge.simulations < 8);
    expect(first && judge.holds(first)).toBe(true);
    const cost = first ? costOf(problem, first) : Number.NaN;
    expect(cost).toBeLessThan(15);
    expect(others.every((each) => costOf(problem, each) >= cost)).toBe(true);
  });

  it('are made fuller only if that may make one the cheapest', () => {
    const judge = new Judge(problem);
    const drafts = firstDrafts(problem, judge, () => true);
    expect(drafts.length).toBeGreaterThan(1);
    // 54 if each of them is made fuller.
    expect(judge.simulations).toBeLessThan(36);
  });

  it('are made fuller before others that cost more are tried', () => {
    const large = buildProblem(tracedInput({ seed: 2_003, stages: 8, kinds: 4, devices: 200 }));
    const judge = new Judge(large);
    const [first] = firstDrafts(large, judge, () => judge.simulations < 21);
    // 72.6 with all less full drafts first.
    expect(first && costOf(large, first)).toBeLessThan(70);
    expect(first && judge.holds(first)).toBe(true);
  });

  it('are made in one way after the other once the time is over, so that the first that meets the objective comes soon', () => {
    const large = buildProblem(tracedInput({ seed: 2_003, stages: 8, kinds: 4, devices: 200 }));
    const judge = new Judge(large);
    const [first] = firstDrafts(large, judge, () => false);
    expect(first && judge.holds(first)).toBe(true);
    // 16 if all ways were tried with full devices first.
    expect(judge.simulations).toBeLessThan(8);
  });
});
