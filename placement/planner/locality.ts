import { type Candidate, cellAt, isPossible, replicasByDevice } from './candidate.js';
import type { Judge } from './judge.js';
import type { Problem } from './problem.js';

/** Below it data is not worth moving a model for, in milliseconds of a run: what simulations tell apart. */
const LEAST_MS = 1;
/** Exchanges of devices that are weighed at most: of some dozens of devices all of them. */
const MOST_TRIED = 4_000;

/**
 * The candidate on devices that are as good and as cheap, with less data on slow links: consecutive stages move to one node.
 * Cost and speed stay, so what takes less time on the way only gains; the judge has the last word.
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

/** Milliseconds that a run’s data is under way between devices, were calls spread evenly over replicas. */
function movingMs({ stages, simulated }: Problem, { replicas }: Candidate): number {
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
  return ms;
}

/** What is on one device and on another that is as good, changed over; the other may be free. Devices of a node alike stand for all. */
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
        other.concurrency === cell.concurrency;
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
