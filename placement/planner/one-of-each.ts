import { type Candidate, cellAt, isPossible, type Replica } from './candidate.js';
import { mayWait } from './delays.js';
import type { Judge } from './judge.js';
import { demandsLosses } from './losses.js';
import { FULL, mended } from './mend.js';
import { erlangsAt, type Problem } from './problem.js';
import { balance } from './stability.js';

/** Most devices of such a placement, choices of devices, and assignments of pools to the devices of one. */
const MOST_DEVICES = 4;
const MOST_CHOICES = 400;
const MOST_ASSIGNMENTS = 600;
/** A smaller batch is chosen if it costs at most this much more of the devices than the best. */
const SIMILAR = 1.05;
/** Reach of a candidate and of all delays at its first pool below which other pools are not tried. */
const HOPELESS = 0.06;
/** Most simulations to mend one of them. */
const MOST_MENDING = 150;

/**
 * The cheapest placement below a cost in which each pool has one replica and batches wait to fill; undefined if none is found.
 * Where a batch takes hardly longer than a single call, calls that wait for each other once, at one stage, and then stay together
 * need far less of the devices than those that begin at once. Placements whose replicas are many small ones lie between such a
 * placement and those that a search by single steps begins with, and do not meet the objective.
 *
 * @param least no placement costs less
 */
export function oneOfEach(
  problem: Problem,
  judge: Judge,
  below: number,
  least: number,
  goOn: () => boolean,
): Candidate | undefined {
  // One replica of a model is lost with its device.
  if (problem.delaysMs.length === 0 || demandsLosses(problem)) return undefined;
  for (const devices of choicesOf(problem, below, least)) {
    for (const replicas of assignmentsOn(problem, devices)) {
      if (!goOn()) return undefined;
      const candidate = { configs: configsFor(problem, replicas), replicas };
      if (!isPossible(problem, candidate) || balance(problem, candidate).peak >= FULL) continue;
      const found = filled(problem, judge, candidate, below, goOn);
      if (found) return found;
    }
  }
  return undefined;
}

/** The candidate with batches that wait at one of its pools, and just stay together behind it; mended if it nearly meets the objective. */
function filled(problem: Problem, judge: Judge, candidate: Candidate, below: number, goOn: () => boolean) {
  const able = problem.pools.flatMap(({ configs }, p) =>
    mayWait(problem, p) && (configs[candidate.configs[p] ?? 0]?.maxBatch ?? 1) > 1 ? [p] : [],
  );
  const [shortest = 0, ...longer] = problem.delaysMs;
  let best = candidate;
  let reach = judge.reach(candidate);
  // Pools are in the order of the stages.
  for (const [turn, holder] of able.entries()) {
    for (const ms of longer.toReversed()) {
      if (reach >= 1 || !goOn()) break;
      const delaysMs = problem.pools.map((_, p) => (p === holder ? ms : able.includes(p) && p > holder ? shortest : 0));
      const next = { ...candidate, delaysMs };
      const nearer = judge.reach(next);
      if (nearer <= reach) continue;
      best = next;
      reach = nearer;
    }
    if (turn === 0 && reach < HOPELESS) return undefined;
  }
  if (judge.holds(best)) return best;
  return mended(problem, judge, best, below, MOST_MENDING, goOn);
}

/** Sets of devices, of each cell its first ones, by cost. */
function choicesOf({ cells, pools }: Problem, below: number, least: number): readonly (readonly number[])[] {
  let all: { readonly devices: readonly number[]; readonly cost: number }[] = [{ devices: [], cost: 0 }];
  for (const { devices, pricePerHour } of cells) {
    all = all.flatMap((choice) => {
      const most = Math.min(devices.length, MOST_DEVICES - choice.devices.length, pools.length - choice.devices.length);
      return Array.from({ length: Math.max(0, most) + 1 }, (_, n) => ({
        devices: [...choice.devices, ...devices.slice(0, n)],
        cost: choice.cost + n * pricePerHour,
      }));
    });
    all = all
      .filter(({ cost }) => cost < below - 1e-9)
      .sort((a, b) => a.cost - b.cost)
      .slice(0, MOST_CHOICES);
  }
  return all.flatMap(({ devices, cost }) => (devices.length > 0 && cost >= least - 1e-9 ? [devices] : []));
}

/** Ways to give every pool one of these devices, and every device a pool; equal devices are taken in their order. */
function assignmentsOn(problem: Problem, devices: readonly number[]): readonly (readonly Replica[])[] {
  const { pools, cellOf } = problem;
  const found: (readonly Replica[])[] = [];
  const place = (replicas: readonly Replica[]) => {
    const pool = replicas.length;
    const taken = new Set(replicas.map(({ devices: [device] }) => device));
    if (found.length >= MOST_ASSIGNMENTS || devices.length - taken.size > pools.length - pool) return;
    if (pool === pools.length) {
      found.push(replicas);
      return;
    }
    const fresh = new Set<number>();
    for (const device of devices) {
      const cell = cellOf[device] ?? 0;
      if (!taken.has(device)) {
        if (fresh.has(cell)) continue;
        fresh.add(cell);
      }
      place([...replicas, { pool, devices: [device] }]);
    }
  };
  place([]);
  return found;
}

/** For each pool the smallest batches that need hardly more of its device than the best ones. */
function configsFor(problem: Problem, replicas: readonly Replica[]): readonly number[] {
  return replicas.map(({ pool, devices: [device = -1] }) => {
    const kind = cellAt(problem, device)?.kind ?? 0;
    const needs = (problem.pools[pool]?.configs ?? []).map(({ uses }) => {
      const use = uses[kind];
      return use && use.width === 1 ? erlangsAt(use, 1) : Number.POSITIVE_INFINITY;
    });
    const least = Math.min(...needs);
    return Math.max(
      0,
      needs.findIndex((each) => each <= least * SIMILAR),
    );
  });
}
