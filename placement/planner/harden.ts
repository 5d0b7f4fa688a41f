import { type Candidate, cellAt } from './candidate.js';
import type { Judge } from './judge.js';
import { demandedLosses, demandsLosses, domainOf } from './losses.js';
import type { Problem } from './problem.js';
import { balance } from './stability.js';
import { Workbench } from './workbench.js';

/** Most replicas that are added for losses: one for each pool and some for the load. */
const MOST_ADDED = 48;

/**
 * The candidate with a replica of every pool outside of each device or node whose loss it must survive; undefined if the devices
 * do not suffice. If it must survive none, the candidate.
 */
export function spread(problem: Problem, candidate: Candidate): Candidate | undefined {
  if (!demandsLosses(problem)) return candidate;
  const by = problem.survive ?? 'device';
  let now = candidate;
  for (const [p] of problem.pools.entries()) {
    const domains = new Set(
      now.replicas.flatMap(({ pool, devices }) =>
        pool === p ? devices.map((device) => domainOf(problem, device, by)) : [],
      ),
    );
    // A replica that spans devices is lost with any of them; another is outside only of what it does not touch.
    if (demandedLosses(problem, now).every(({ lost }) => !lost.includes(p))) continue;
    const next = withReplicaOutside(problem, now, p, domains, 'shared');
    if (next === undefined) return undefined;
    now = next;
  }
  return now;
}

/**
 * A candidate that also meets the objective after each loss: replicas are added outside of the loss that is survived least,
 * for the pool whose calls wait longest then. Undefined if that does not succeed.
 */
export function hardened(problem: Problem, judge: Judge, start: Candidate, goOn: () => boolean): Candidate | undefined {
  let candidate = spread(problem, start);
  if (!demandsLosses(problem)) return candidate;
  for (let i = 0; i < MOST_ADDED && candidate !== undefined && goOn(); i += 1) {
    if (judge.holds(candidate)) return candidate;
    const failing = demandedLosses(problem, candidate).find(({ rest }) => !judge.passes(rest));
    const { rest, without } = failing ?? { rest: candidate, without: undefined };
    const { pools } = balance(problem, rest);
    const { result } = judge.see(rest);
    const waits = problem.pools.map((_, p) =>
      problem.stages.reduce(
        (sum, { pool }, v) => sum + (pool === p ? (result.stages[v]?.meanWaitMs ?? 0) : 0),
        pools[p] ?? 0,
      ),
    );
    const outside = new Set(without === undefined ? [] : [without]);
    const order = waits.map((wait, p) => ({ wait, p })).sort((a, b) => b.wait - a.wait);
    let next: Candidate | undefined;
    for (const { p } of order) next ??= withReplicaOutside(problem, candidate, p, outside, 'free');
    candidate = next;
  }
  return candidate && judge.holds(candidate) ? candidate : undefined;
}

/**
 * The candidate with another replica of a pool outside of these devices or nodes: on a device in use that is least busy
 * (`shared`), or on the cheapest free one (`free`), else the other way round.
 */
function withReplicaOutside(
  problem: Problem,
  candidate: Candidate,
  pool: number,
  outside: ReadonlySet<string>,
  first: 'shared' | 'free',
): Candidate | undefined {
  const bench = new Workbench(problem, candidate);
  const isOutside = (device: number) =>
    !outside.has(domainOf(problem, device, 'device')) && !outside.has(domainOf(problem, device, 'node'));
  const { devices: loads } = balance(problem, candidate);
  const shared = () =>
    bench
      .placesFor(pool)
      .filter((devices) => devices.every(isOutside))
      .sort(([a = -1], [b = -1]) => (loads.get(a) ?? 0) - (loads.get(b) ?? 0))[0];
  const free = () =>
    problem.cells
      .map(({ devices }) => bench.freeAmong(pool, devices.filter(isOutside)))
      .filter((devices) => devices !== undefined)
      .sort((a, b) => priceOf(problem, a) - priceOf(problem, b))[0];
  const devices = first === 'shared' ? (shared() ?? free()) : (free() ?? shared());
  if (devices === undefined) return undefined;
  bench.add(pool, devices);
  return bench.candidate;
}

const priceOf = (problem: Problem, devices: readonly number[]): number =>
  devices.reduce((sum, device) => sum + (cellAt(problem, device)?.pricePerHour ?? 0), 0);
