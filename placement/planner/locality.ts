import { type Candidate, cellAt, isPossible, replicasByDevice } from './candidate.js';
import type { Judge } from './judge.js';
import type { Problem } from './problem.js';
import { transfersOf } from './transfers.js';

/** Smaller gains do not justify moving a model, in milliseconds of a run: the resolution of simulations. */
const LEAST_MS = 1;
/** Most device exchanges to weigh: all of them for some dozens of devices. */
const MOST_TRIED = 4_000;

/**
 * The candidate on equally good and cheap devices with less data on slow links: consecutive stages move to one node.
 * Cost and speed stay, so shorter transfers can only help; the judge decides.
 */
export function gathered(problem: Problem, judge: Judge, start: Candidate, goOn: () => boolean): Candidate {
  let best = start;
  let least = movingMs(problem, best);
  let tried = 0;
  for (let found = true; found && least >= LEAST_MS; ) {
    found = false;
    for (const next of exchanges(problem, best)) {
      if (tried++ >= MOST_TRIED || !goOn()) return best;
      const ms = movingMs(problem, next);
      if (ms > least - LEAST_MS || !isPossible(problem, next) || !judge.holds(next)) continue;
      best = next;
      least = ms;
      found = true;
      break;
    }
  }
  return best;
}

/** Milliseconds of transfer in a run, assuming calls spread evenly over replicas. */
function movingMs(problem: Problem, candidate: Candidate): number {
  const { stages, simulated, pools } = problem;
  const { replicas } = candidate;
  const on = (pool: number) =>
    replicas.flatMap((replica) => (replica.pool === pool ? replica.devices.slice(0, 1) : []));
  let ms = 0;
  for (const { after, pool, share } of stages) {
    const to = on(pool);
    for (const before of after) {
      const source = stages[before];
      if (source === undefined) continue;
      const from = on(source.pool);
      let sum = 0;
      for (const a of from) for (const b of to) sum += simulated.transferMs(a, b, source.outputBytes);
      ms += (share * sum) / Math.max(1, from.length * to.length);
    }
  }
  for (const [p, { handsTo }] of pools.entries())
    if (handsTo) ms += handsTo.callsPerRun * transfersOf(problem, candidate, p).meanMs;
  return ms;
}

/**
 * Exchanges of the contents of equivalent devices; the other may be free. One device represents equivalent ones on its
 * node.
 */
function* exchanges(problem: Problem, candidate: Candidate): Generator<Candidate> {
  const used = replicasByDevice(candidate);
  const single = (device: number) => (used.get(device) ?? []).every(({ devices }) => devices.length === 1);
  for (const a of used.keys()) {
    const cell = cellAt(problem, a);
    if (cell === undefined || !single(a)) continue;
    const freeCells = new Set<number>();
    for (const [b, { node }] of problem.devices.entries()) {
      const other = cellAt(problem, b);
      const alike =
        other !== undefined &&
        other.kind === cell.kind &&
        other.pricePerHour === cell.pricePerHour &&
        other.billing === cell.billing &&
        other.concurrency === cell.concurrency &&
        other.slowdown === cell.slowdown;
      if (!alike || node === cell.node || !single(b)) continue;
      if (!used.has(b)) {
        const of = problem.cellOf[b] ?? 0;
        if (freeCells.has(of)) continue;
        freeCells.add(of);
      }
      const moved = (device: number) => (device === a ? b : device === b ? a : device);
      const replicas = candidate.replicas.map((replica) => ({ ...replica, devices: replica.devices.map(moved) }));
      yield { ...candidate, replicas };
    }
  }
}
