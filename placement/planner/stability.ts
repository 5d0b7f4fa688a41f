import { type Candidate, cellAt, useOn } from './candidate.js';
import type { Problem } from './problem.js';

/** How the load would be spread over a placement in the long run, in full batches. */
export interface Balance {
  /** The busiest device's load as a share of what it can do: at 1 or more queues grow without end. */
  readonly peak: number;
  /** Load of each device in use, and of each pool's devices on average, as such shares. */
  readonly devices: ReadonlyMap<number, number>;
  readonly pools: readonly number[];
}

/** Rounds of balancing: pools that share devices are balanced in turn, and each round halves what is left at least. */
const ROUNDS = 16;
const STEADY = 1e-4;

/**
 * Spreads each pool's load over its replicas so that the busiest device is as little busy as can be found. A simulation of
 * some seconds may end well although queues grow; what has no balance below 1 holds no rate for ever, and is not counted
 * as holding it.
 */
export function balance(problem: Problem, candidate: Candidate): Balance {
  const { replicas } = candidate;
  const pools = problem.pools.map((_, p) => replicas.flatMap((replica, r) => (replica.pool === p ? [r] : [])));
  // Replicas that the whole load of the pool would keep busy here.
  const erlangs = replicas.map(({ pool, devices }) => useOn(problem, candidate, pool, devices[0] ?? 0)?.erlangs ?? 0);
  const room = replicas.map(({ devices }) => cellAt(problem, devices[0] ?? 0)?.concurrency ?? 1);
  const load = new Map<number, number>();
  const sharing = new Map<number, Set<number>>();
  for (const { pool, devices } of replicas) {
    const device = devices[0] ?? 0;
    sharing.set(device, (sharing.get(device) ?? new Set()).add(pool));
  }
  const shared = [...sharing.values()].some((all) => all.size > 1);
  const taken = new Float64Array(replicas.length);
  for (let round = 0; round < (shared ? ROUNDS : 1); round += 1) {
    let moved = 0;
    for (const own of pools) {
      const others = own.map(
        (r) => (load.get(replicas[r]?.devices[0] ?? 0) ?? 0) - (taken[r] as number) / (room[r] ?? 1),
      );
      const level = levelOf(own, others, erlangs, room);
      for (const [i, r] of own.entries()) {
        const next = Math.min(1, Math.max(0, (level - (others[i] ?? 0)) * (room[r] ?? 1)));
        const device = replicas[r]?.devices[0] ?? 0;
        moved = Math.max(moved, Math.abs(next - (taken[r] as number)));
        load.set(device, (load.get(device) ?? 0) + (next - (taken[r] as number)) / (room[r] ?? 1));
        taken[r] = next;
      }
    }
    if (moved < STEADY) break;
  }
  let peak = 0;
  for (const [p, own] of pools.entries()) {
    const served = own.reduce(
      (sum, r) => sum + ((erlangs[r] ?? 0) > 0 ? (taken[r] as number) / (erlangs[r] ?? 1) : 1),
      0,
    );
    // Even with every replica busy all the time a part of the load is left over.
    if (served < 1 - 1e-9) peak = Math.max(peak, 1 / Math.max(served, 1e-9));
    void p;
  }
  for (const share of load.values()) peak = Math.max(peak, share);
  const average = (own: readonly number[]) =>
    own.reduce((sum, r) => sum + (load.get(replicas[r]?.devices[0] ?? 0) ?? 0), 0) / Math.max(1, own.length);
  return { peak, devices: load, pools: pools.map(average) };
}

/** The load up to which all replicas of a pool are filled when they take it all, over what others take. */
function levelOf(
  own: readonly number[],
  others: readonly number[],
  erlangs: readonly number[],
  room: readonly number[],
): number {
  const served = (level: number) => {
    let sum = 0;
    for (const [i, r] of own.entries()) {
      const busy = Math.min(1, Math.max(0, (level - (others[i] ?? 0)) * (room[r] ?? 1)));
      sum += (erlangs[r] ?? 0) > 0 ? busy / (erlangs[r] ?? 1) : 1;
    }
    return sum;
  };
  let low = 0;
  let high = Math.max(...others) + 1;
  if (served(high) < 1) return high;
  for (let i = 0; i < 40; i += 1) {
    const middle = (low + high) / 2;
    if (served(middle) < 1) low = middle;
    else high = middle;
  }
  return high;
}
