import { describe, expect, it } from 'vitest';
import { tracedInput } from '../../../bench/planner/instances.js';
import { buildProblem, Judge, searchCheapest } from '../../../placement/planner/index.js';
import { isLong, partOf } from '../../../placement/planner/part-of-load.js';

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

  it('is of loads that are long beside the objective, and of objectives that a part can stand for', () => {
    const { load, objective } = input;
    const isSo = (changed: Partial<typeof input>) => isLong(buildProblem({ ...input, ...changed }));
    expect(isSo({})).toBe(true);
    const count = 7_000;
    const short = { ...load, timesMs: load.timesMs.slice(0, count), pipelines: load.pipelines.slice(0, count) };
    expect(isSo({ load: short })).toBe(false);
    const spanMs = load.timesMs.at(-1) ?? 0;
    expect(isSo({ objective: { p99Ms: spanMs / 20 } })).toBe(false);
    expect(isSo({ objective: { ...objective, goodput: 0.9 } })).toBe(false);
  });
});

describe('a part of a load', () => {
  it('has the burst in which a placement is latest, and as much time as its runs take longer there', () => {
    const timesMs = input.load.timesMs.slice();
    const [from, to] = [9_000, 10_000];
    const start = timesMs[from] ?? 0;
    for (let run = from; run < to; run += 1) timesMs[run] = start + ((timesMs[run] ?? 0) - start) / 3;
    const problem = buildProblem({ ...input, load: { ...input.load, timesMs } });
    let looks = 0;
    const placed = searchCheapest(problem, { timeLimitMs: 30, clock: () => looks++ });
    if (placed === undefined) throw new Error('there is no placement');
    const seen = new Judge(problem).see(placed.candidate);
    const part = partOf(problem, placed.candidate, seen, Number.POSITIVE_INFINITY);
    const runs = part.problem.load.timesMs;
    expect(runs.length).toBe(Math.ceil(part.share * timesMs.length));
    expect(runs[0]).toBeLessThanOrEqual(timesMs[from] ?? 0);
    expect(runs.at(-1)).toBeGreaterThanOrEqual(timesMs[to - 1] ?? 0);
    const there = part.judge.see(placed.candidate);
    expect(part.slack).toBeCloseTo((0.98 * there.p99Ms) / seen.p99Ms, 9);
    expect(part.slack).toBeGreaterThan(1);
    expect(part.problem.objective.p99Ms).toBeCloseTo(part.slack * (problem.objective.p99Ms ?? 0), 9);
    const tight = partOf(problem, placed.candidate, seen, 0.9);
    expect(tight.slack).toBe(0.9);
  });
});
