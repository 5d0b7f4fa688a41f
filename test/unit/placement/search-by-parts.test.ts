import { describe, expect, it } from 'vitest';
import { tracedInput } from '../../../bench/planner/instances.js';
import type { Candidate } from '../../../placement/planner/candidate.js';
import { buildProblem, Judge, searchCheapest } from '../../../placement/planner/index.js';
import type { Seen } from '../../../placement/planner/judge.js';
import { isLong, measured, partOf } from '../../../placement/planner/part-of-load.js';
import { SearchByParts } from '../../../placement/planner/search-by-parts.js';

const input = tracedInput({ seed: 2_002, stages: 12, kinds: 3, devices: 64 });

describe('the search with parts of a long load', () => {
  it('finds with few simulations of the whole load what takes many, and what it finds serves the whole load', {
    timeout: 120_000,
  }, () => {
    const problem = buildProblem(input);
    let looks = 0;
    const found = searchCheapest(problem, { timeLimitMs: 200, clock: () => looks++ });
    // Without parts: 57 simulations.
    expect(found?.value).toBeLessThan(15);
    expect(found?.simulations).toBeLessThan(20);
    expect(found && new Judge(problem).holds(found.candidate)).toBe(true);
  });

  it('is of loads that are long beside the objective, where a part can stand for all of it', () => {
    const { load, objective } = input;
    const isSo = (changed: Partial<typeof input>) => isLong(buildProblem({ ...input, ...changed }));
    expect(isSo({})).toBe(true);
    const count = 7_000;
    const short = { ...load, timesMs: load.timesMs.slice(0, count), pipelines: load.pipelines.slice(0, count) };
    expect(isSo({ load: short })).toBe(false);
    const fewer = tracedInput({ seed: 2_002, stages: 10, kinds: 3, devices: 64 });
    expect(isLong(buildProblem(fewer))).toBe(false);
    const spanMs = load.timesMs.at(-1) ?? 0;
    expect(isSo({ objective: { p99Ms: spanMs / 20 } })).toBe(false);
    expect(isSo({ objective: { ...objective, goodput: 0.9 } })).toBe(false);
    expect(isSo({ survive: 'device' })).toBe(false);
  });
});

/** The load with a thousand runs that come three times as fast. */
const burst = { from: 9_000, to: 10_000 };
function withBurst() {
  const timesMs = input.load.timesMs.slice();
  const start = timesMs[burst.from] ?? 0;
  for (let run = burst.from; run < burst.to; run += 1) timesMs[run] = start + ((timesMs[run] ?? 0) - start) / 3;
  return { ...input, load: { ...input.load, timesMs } };
}

describe('a part of a load', () => {
  it('has the burst in which a placement is latest, and as much time as its runs take longer there at each percentile', () => {
    const p99Ms = input.objective.p99Ms ?? 0;
    const problem = buildProblem({ ...withBurst(), objective: { p95Ms: 0.8 * p99Ms, p99Ms } });
    const { timesMs } = problem.load;
    let looks = 0;
    const placed = searchCheapest(problem, { timeLimitMs: 30, clock: () => looks++ });
    if (placed === undefined) throw new Error('there is no placement');
    const seen = new Judge(problem).see(placed.candidate);
    const part = partOf(problem, placed.candidate, measured(seen));
    const runs = part.problem.load.timesMs;
    expect(runs.length).toBe(Math.ceil(part.share * timesMs.length));
    expect(runs[0]).toBeLessThanOrEqual(timesMs[burst.from] ?? 0);
    expect(runs.at(-1)).toBeGreaterThanOrEqual(timesMs[burst.to - 1] ?? 0);
    const there = part.judge.see(placed.candidate);
    const { objective } = part.problem;
    expect(objective.p99Ms).toBeCloseTo((0.98 * p99Ms * there.p99Ms) / seen.p99Ms, 6);
    expect(objective.p95Ms).toBeCloseTo((0.98 * 0.8 * p99Ms * there.p95Ms) / seen.p95Ms, 6);
    expect(there.p99Ms).toBeGreaterThan(seen.p99Ms);
    const tighter = partOf(problem, placed.candidate, measured(seen), 0.9);
    expect(tighter.problem.objective.p99Ms).toBeCloseTo(0.9 * (objective.p99Ms ?? 0), 6);
  });

  it('proves nothing: what meets its objective and not that of the load is not taken', () => {
    const problem = buildProblem(withBurst());
    /** Holds that nothing meets the objective. */
    class Strict extends Judge {
      asked = 0;
      override see(candidate: Candidate): Seen {
        this.asked += 1;
        return { ...super.see(candidate), holds: false };
      }
      override holds(): boolean {
        return false;
      }
    }
    const searched = (judge: Judge) => {
      const search = new SearchByParts(problem, judge);
      let looks = 0;
      search.goOn(0, () => looks++ < 100);
      return search.best;
    };
    const strict = new Strict(problem);
    expect(searched(strict)).toBeUndefined();
    expect(strict.asked).toBeGreaterThan(1);
    expect(searched(new Judge(problem))).toBeDefined();
  });
});
