import { type Candidate, delayOf, type Replica } from './candidate.js';
import { mayWait, withDelay } from './delays.js';
import type { Problem } from './problem.js';
import { balance } from './stability.js';
import { Workbench } from './workbench.js';

/** Most devices and replicas to try per step, so that one step on a large cluster ends. */
const MOST_TRIED = 24;

/**
 * Neighbours of a candidate: batches that wait longer or shorter where they may; replicas added, reassigned to busier pools, or
 * removed; larger and smaller batches.
 *
 * @param on the devices that may get replicas; default: all
 */
export function* changes(
  problem: Problem,
  candidate: Candidate,
  on: readonly number[] = problem.devices.map((_, device) => device),
): Generator<Candidate> {
  const { devices: loads, pools } = balance(problem, candidate);
  const busiest = pools.map((load, p) => ({ load, p })).sort((a, b) => b.load - a.load);
  const bench = new Workbench(problem, candidate);
  const loadOf = (device: number) => loads.get(device) ?? 0;
  yield* delayed(problem, candidate);
  const rested = [...on].sort((a, b) => loadOf(a) - loadOf(b)).slice(0, MOST_TRIED);
  for (const { p } of busiest) {
    for (const device of rested) {
      if (bench.fits(p, device) && bench.on(device).every(({ pool }) => pool !== p)) {
        yield { ...candidate, replicas: [...candidate.replicas, { pool: p, devices: [device] }] };
      }
    }
    for (const devices of bench.placesFor(p)) {
      // Of one device: above.
      if (devices.length === 1 || !devices.every((device) => on.includes(device))) continue;
      yield { ...candidate, replicas: [...candidate.replicas, { pool: p, devices }] };
    }
    for (const device of rested) yield* given(problem, candidate, device, p);
  }
  const busy = [...candidate.replicas].sort((a, b) => loadOf(b.devices[0] ?? 0) - loadOf(a.devices[0] ?? 0));
  for (const replica of busy.slice(0, MOST_TRIED)) {
    yield { ...candidate, replicas: candidate.replicas.filter((each) => each !== replica) };
  }
  for (const [p, config] of candidate.configs.entries()) {
    for (const [next] of problem.pools[p]?.configs.entries() ?? []) {
      if (next !== config) yield { ...candidate, configs: candidate.configs.map((each, q) => (q === p ? next : each)) };
    }
  }
  yield* swapped(candidate, busy.slice(0, MOST_TRIED));
}

/** Every other time for which the batches of one pool may wait. */
function* delayed(problem: Problem, candidate: Candidate): Generator<Candidate> {
  for (const [p] of problem.pools.entries()) {
    if (!mayWait(problem, p) || candidate.replicas.filter(({ pool }) => pool === p).length !== 1) continue;
    const now = delayOf(candidate, p);
    for (const ms of [0, ...problem.delaysMs]) if (ms !== now) yield withDelay(problem, candidate, p, ms);
  }
}

/** A device dedicated to one pool, dropping what was on it, or the pool in place of one replica on it. */
function* given(problem: Problem, candidate: Candidate, device: number, pool: number): Generator<Candidate> {
  const there = new Workbench(problem, candidate).on(device);
  if (there.some(({ devices }) => devices.length > 1)) return;
  const others = there.filter((replica) => replica.pool !== pool);
  if (others.length === 0) return;
  const added: Replica = { pool, devices: [device] };
  const taken = there.length > others.length ? [] : [added];
  yield { ...candidate, replicas: [...candidate.replicas.filter((each) => !others.includes(each)), ...taken] };
  if (others.length < 2 || taken.length === 0) return;
  for (const gone of others) {
    yield { ...candidate, replicas: [...candidate.replicas.filter((each) => each !== gone), ...taken] };
  }
}

/** Two replicas of different pools swap devices. */
function* swapped(candidate: Candidate, replicas: readonly Replica[]): Generator<Candidate> {
  for (const [i, a] of replicas.entries()) {
    for (const b of replicas.slice(i + 1)) {
      if (a.pool === b.pool || a.devices.length !== b.devices.length || a.devices[0] === b.devices[0]) continue;
      const rest = candidate.replicas.filter((each) => each !== a && each !== b);
      yield { ...candidate, replicas: [...rest, { ...a, devices: b.devices }, { ...b, devices: a.devices }] };
    }
  }
}
