import { type Candidate, type Replica, useOn } from './candidate.js';
import { erlangsAt, type Problem } from './problem.js';
import { slowedLoad } from './slowdown.js';
import { roomsOf, wideLoad } from './spans.js';
import { linkLoad } from './transfers.js';

/** Long-term distribution of the load over a placement, in full batches. */
export interface Balance {
  /**
   * Load of the busiest device, of the links between two parts of a model, or of a replica that its neighbours on several devices
   * slow, as a share of its capacity: at 1 or more queues may grow without bound.
   */
  readonly peak: number;
  /** Load of each device in use, and average load of each pool's devices, as such shares. */
  readonly devices: ReadonlyMap<number, number>;
  readonly pools: readonly number[];
}

/** Rounds of balancing: pools that share devices are balanced in turn, and each round at least halves the imbalance. */
const ROUNDS = 16;
const STEADY = 1e-4;

/**
 * Distributes each pool's load over its replicas to minimise the busiest device's load. A simulation of some seconds
 * may pass although queues grow; a placement without a distribution below 1 cannot sustain the rate and is rejected.
 */
export function balance(problem: Problem, candidate: Candidate): Balance {
  const { replicas } = candidate;
  const pools = problem.pools.map((_, p) => replicas.flatMap((replica, r) => (replica.pool === p ? [r] : [])));
  // Replicas that the pool's load would keep busy here, but for calls that do not fit them.
  const erlangs = replicas.map(({ pool, devices }) => {
    const use = useOn(problem, candidate, pool, devices[0] ?? 0);
    return use ? erlangsAt(use, pools[pool]?.length ?? 1) : 0;
  });
  const room = roomsOf(problem, candidate);
  const load = new Map<number, number>();
  const sharing = new Map<number, Set<number>>();
  for (const { pool, devices } of replicas) {
    for (const device of devices) sharing.set(device, (sharing.get(device) ?? new Set()).add(pool));
  }
  const shared = [...sharing.values()].some((all) => all.size > 1);
  const taken = new Float64Array(replicas.length);
  for (let round = 0; round < (shared ? ROUNDS : 1); round += 1) {
    let moved = 0;
    for (const own of pools) {
      // Of devices that a replica spans, the busiest.
      const others = own.map((r) => busiest(load, replicas[r]) - (taken[r] as number) / (room[r] ?? 1));
      const level = levelOf(own, others, erlangs, room);
      for (const [i, r] of own.entries()) {
        const next = Math.min(1, Math.max(0, (level - (others[i] ?? 0)) * (room[r] ?? 1)));
        const more = next - (taken[r] as number);
        moved = Math.max(moved, Math.abs(more));
        for (const device of replicas[r]?.devices ?? []) {
          load.set(device, (load.get(device) ?? 0) + more / (room[r] ?? 1));
        }
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
    // Even with every replica fully busy a part of the load remains.
    if (served < 1 - 1e-9) peak = Math.max(peak, 1 / Math.max(served, 1e-9));
    void p;
  }
  for (const share of load.values()) peak = Math.max(peak, share);
  peak = Math.max(
    peak,
    linkLoad(problem, candidate),
    wideLoad(problem, candidate, taken, room),
    slowedLoad(problem, candidate, taken),
  );
  const average = (own: readonly number[]) =>
    own.reduce((sum, r) => sum + busiest(load, replicas[r]), 0) / Math.max(1, own.length);
  return { peak, devices: load, pools: pools.map(average) };
}

/** Load of the busiest device of a replica. */
function busiest(load: ReadonlyMap<number, number>, replica: Replica | undefined): number {
  let most = 0;
  for (const device of replica?.devices ?? []) most = Math.max(most, load.get(device) ?? 0);
  return most;
}

/** The level to which all replicas of a pool are filled by it, on top of other pools' load. */
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
