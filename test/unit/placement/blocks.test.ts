import { describe, expect, it } from 'vitest';
import { enumerated } from '../../../bench/planner/enumerate.js';
import { strainedInstance } from '../../../bench/planner/instances.js';
import { lineBelow } from '../../../placement/planner/block-work.js';
import { type Blocks, leastLateInBlocks } from '../../../placement/planner/blocks.js';
import { Cuts } from '../../../placement/planner/cuts.js';
import { delaysUpTo } from '../../../placement/planner/delays.js';
import { areWithin, densest, pairsWithin } from '../../../placement/planner/density.js';
import { Judge, type Problem, replicasByDevice } from '../../../placement/planner/index.js';
import { drawOf } from '../../../placement/simulator/index.js';

interface Task {
  readonly from: number;
  readonly due: number;
  readonly ms: number;
}

/** Whether one machine ends all tasks in time: the one that is due first goes first. */
function isInTime(tasks: readonly Task[]): boolean {
  const left = tasks.map(({ ms }) => ms);
  const isOpen = (i: number) => (left[i] ?? 0) > 1e-9;
  for (let now = 0; ; ) {
    const open = tasks.flatMap((task, i) => (isOpen(i) ? [{ ...task, i }] : []));
    if (open.length === 0) return true;
    const ready = open.filter(({ from }) => from <= now + 1e-9).sort((a, b) => a.due - b.due);
    const later = Math.min(...open.filter(({ from }) => from > now + 1e-9).map(({ from }) => from));
    const [next] = ready;
    if (next === undefined) {
      now = later;
      continue;
    }
    const until = Math.min(later, now + (left[next.i] ?? 0));
    left[next.i] = (left[next.i] ?? 0) - (until - now);
    now = until;
    if (!isOpen(next.i) && now > next.due + 1e-6) return false;
  }
}

/** The least number of late runs: every set of runs in time, in every choice of blocks. */
function tried({ releaseMs, allowedMs, leastMs, setup, each }: Blocks): number {
  let best = releaseMs.length;
  for (let set = 0; set < 2 ** releaseMs.length; set += 1) {
    const kept = Array.from(releaseMs).filter((_, i) => (set >> i) & 1);
    if (releaseMs.length - kept.length >= best) continue;
    for (let ends = 0; ends < 2 ** Math.max(0, kept.length - 1); ends += 1) {
      const tasks: Task[] = kept.map((from) => ({ from, due: from + allowedMs, ms: each }));
      let first = 0;
      let fits = true;
      for (let i = 0; i < kept.length; i += 1) {
        if (i < kept.length - 1 && ((ends >> i) & 1) === 0) continue;
        const due = (kept[first] ?? 0) + allowedMs;
        tasks.push({ from: kept[i] ?? 0, due, ms: setup });
        fits &&= (kept[i] ?? 0) + leastMs <= due;
        first = i + 1;
      }
      if (fits && isInTime(tasks)) best = Math.min(best, releaseMs.length - kept.length);
    }
  }
  return best;
}

/** Six runs that arrive close together. */
function blocksOf(seed: number, each: number): Blocks {
  const draw = (i: number, purpose: number) => drawOf(seed, i, purpose);
  const releaseMs = Float64Array.from({ length: 6 }, (_, i) => Math.round(26 * draw(i, 1))).sort();
  const setup = 2 + Math.round(8 * draw(0, 2));
  return { releaseMs, allowedMs: setup + each + Math.round(15 * draw(0, 3)), leastMs: setup / 2, setup, each };
}

describe('the least number of late runs in blocks', () => {
  it('is that of all sets and blocks where a batch takes as long as a call, on 100 random instances', () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const blocks = blocksOf(seed, 0);
      expect(leastLateInBlocks(blocks, 1, 99), `seed ${seed}`).toBe(tried(blocks));
    }
  });

  it('is never above it where each member takes longer, and mostly the same', () => {
    let same = 0;
    for (let seed = 1; seed <= 100; seed += 1) {
      const blocks = blocksOf(seed, 1 + (seed % 3));
      const least = tried(blocks);
      const counted = leastLateInBlocks(blocks, 1, 99);
      expect(counted, `seed ${seed}`).toBeLessThanOrEqual(least);
      if (counted === least) same += 1;
    }
    expect(same).toBeGreaterThan(80);
  });

  it('falls with the speed', () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const blocks = blocksOf(seed, 1);
      const late = [0.5, 0.8, 1, 1.5, 3].map((speed) => leastLateInBlocks(blocks, speed, 99));
      expect(late, `seed ${seed}`).toEqual(late.toSorted((a, b) => b - a));
    }
  });
});

describe('runs at the end of a week', () => {
  it('are in time if they end exactly when they must', () => {
    for (const from of [604_799_000.1, 604_799_000.7, 604_799_001.3]) {
      for (const gap of [0.1, 0.2, 0.3]) {
        const blocks = { releaseMs: Float64Array.of(from, from + gap), allowedMs: gap + 0.7, leastMs: 0.7 };
        expect(leastLateInBlocks({ ...blocks, setup: 0.7, each: 0 }, 1, 9), `${from} ${gap}`).toBe(0);
        expect(leastLateInBlocks({ ...blocks, setup: 0.8, each: 0 }, 1, 9), `${from} ${gap}`).toBeGreaterThan(0);
      }
    }
  });
});

describe('the pairs of arrivals in a window', () => {
  it('are those of all pairs that are looked at', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const timesMs = Float64Array.from({ length: 30 }, (_, i) => 100 * drawOf(seed, i, 1)).sort();
      const windowMs = 40 * drawOf(seed, 0, 2);
      let pairs = 0;
      let most = 0;
      for (const to of timesMs) {
        const members = timesMs.filter((from) => from <= to && to - from <= windowMs).length;
        pairs += members;
        most = Math.max(most, members);
      }
      expect(pairsWithin(timesMs, windowMs), `seed ${seed}`).toBe(pairs);
      for (let members = 1; members <= timesMs.length + 1; members += 1) {
        expect(areWithin(timesMs, members, windowMs), `seed ${seed}, ${members}`).toBe(members <= most);
      }
    }
  });
});

describe('the most arrivals in a window around one', () => {
  it('are those of all windows that begin with an arrival, up to a number', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const timesMs = Float64Array.from({ length: 40 }, (_, i) => 100 * drawOf(seed, i, 1)).sort();
      // Those of another pipeline lie between.
      const of = Int32Array.from(timesMs.keys()).filter((run) => drawOf(seed, run, 3) < 0.7);
      const windowMs = 30 * drawOf(seed, 0, 2);
      const most = 1 + Math.floor(12 * drawOf(seed, 0, 4));
      const at = Array.from(of, (run) => timesMs[run] as number);
      const expected = at.map((own) => {
        const windows = at.filter((from) => from <= own && own <= from + windowMs);
        const counts = windows.map((from) => at.filter((ms) => ms >= from && ms <= from + windowMs).length);
        return Math.min(most, Math.max(...counts));
      });
      expect([...densest(timesMs, of, windowMs, most)], `seed ${seed}`).toEqual(expected);
    }
  });
});

describe('the line below the costs of batches', () => {
  it('is above none of them, and touches one, on 200 random tables', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      let cost = 5 * drawOf(seed, 0, 1);
      const costs = Float64Array.from({ length: 1 + Math.floor(9 * drawOf(seed, 0, 2)) }, (_, i) => {
        cost += 20 * drawOf(seed, i, 3) ** 3;
        return cost;
      });
      const { setup, each } = lineBelow(costs, 1 + 9 * drawOf(seed, 0, 4));
      const left = Array.from(costs, (each_, i) => each_ - setup - each * (i + 1));
      expect(Math.min(setup, each), `seed ${seed}`).toBeGreaterThanOrEqual(0);
      expect(Math.min(...left), `seed ${seed}`).toBeGreaterThanOrEqual(0);
      expect(Math.min(...left), `seed ${seed}`).toBeLessThan(1e-6);
    }
  });
});

/** What a placement's devices can do at once, by kind. */
const speedOf = (problem: Problem, devices: Iterable<number>, weights: readonly number[]): number =>
  [...devices].reduce((sum, d) => sum + (weights[problem.kinds.indexOf(problem.devices[d]?.kind ?? '')] ?? 0), 0);

describe('a cut by blocks', () => {
  it('excludes no devices that carry the load, whether batches wait or not, and more than a cut by single runs', {
    timeout: 120_000,
  }, () => {
    let held = 0;
    let excluded = 0;
    let higher = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const strained = strainedInstance(seed);
      const problem = { ...strained, delaysMs: delaysUpTo((strained.objective.p99Ms ?? 0) * 0.4) };
      const cuts = new Cuts(problem, new Set(problem.kinds.keys()));
      const [group = []] = cuts.pipelines();
      const all = [
        problem.kinds.map(() => 1),
        ...problem.kinds.map((_, k) => problem.kinds.map((__, i) => 1 + (i === k ? 1 : 0))),
      ];
      for (const weights of all) {
        const inBlocks = cuts.possible ? cuts.neededInBlocks(weights, group) : undefined;
        if (inBlocks === undefined) continue;
        const least = inBlocks.above(0) ?? 0;
        if (least > (cuts.needed(weights, group)?.above(0) ?? 0) * 1.02) higher += 1;
        const judge = new Judge(problem);
        let turn = 0;
        for (const { candidate } of enumerated(problem)) {
          const isOut = inBlocks.above(speedOf(problem, replicasByDevice(candidate).keys(), weights)) !== undefined;
          if (isOut) excluded += 1;
          turn += 1;
          if (turn > (isOut ? 400 : 100)) continue;
          const longest = problem.delaysMs.at(-1) ?? 0;
          for (const ms of [0, longest]) {
            if (!judge.holds({ ...candidate, delaysMs: problem.pools.map((_, p) => (p === 0 ? ms : 0)) })) continue;
            held += 1;
            expect(isOut, `seed ${seed}: ${JSON.stringify(candidate)}`).toBe(false);
          }
        }
      }
    }
    expect(held).toBeGreaterThan(200);
    expect(excluded).toBeGreaterThan(200);
    expect(higher).toBeGreaterThan(5);
  });
});
