import type { SimulatedPlacement } from '../simulator/index.js';
import { roomOf } from './memory.js';
import { areParts, type Cell, type Config, type Problem, takesTheRest, type Use } from './problem.js';
import { hasQuality } from './quality.js';

/** A candidate placement: how each pool is served, and where its replicas are. */
export interface Candidate {
  /** By pool: index of its configuration. */
  readonly configs: readonly number[];
  readonly replicas: readonly Replica[];
  /** By pool: how long its batches wait to fill while it has one replica (`delayOf`), in milliseconds. Absent: not at all. */
  readonly delaysMs?: readonly number[] | undefined;
}

export interface Replica {
  readonly pool: number;
  /** As many as the configuration is wide. */
  readonly devices: readonly number[];
}

export const configOf = (problem: Problem, { configs }: Candidate, pool: number): Config | undefined =>
  problem.pools[pool]?.configs[configs[pool] ?? 0];

export const cellAt = (problem: Problem, device: number): Cell | undefined =>
  problem.cells[problem.cellOf[device] ?? 0];

/** How a pool would be served on a device; undefined if it cannot be. */
export function useOn(problem: Problem, candidate: Candidate, pool: number, device: number): Use | undefined {
  const cell = cellAt(problem, device);
  const use = cell && configOf(problem, candidate, pool)?.uses[cell.kind];
  return use && cell && use.memoryBytes <= cell.memoryBytes ? use : undefined;
}

/**
 * How long batches of a pool wait to fill, in milliseconds. Only those of a single replica do: of several, each server would
 * gather calls of its own, while the simulator's pool has one queue.
 */
export function delayOf({ delaysMs, replicas }: Candidate, pool: number): number {
  const ms = delaysMs?.[pool] ?? 0;
  return ms > 0 && replicas.filter((replica) => replica.pool === pool).length === 1 ? ms : 0;
}

/** What is left of a candidate: its servers are configured as before, so that the last of several does not begin to wait. */
export function leftOf(candidate: Candidate, replicas: readonly Replica[]): Candidate {
  const { configs, delaysMs } = candidate;
  if (delaysMs === undefined) return { configs, replicas };
  return { configs, replicas, delaysMs: delaysMs.map((_, pool) => delayOf(candidate, pool)) };
}

/** The replicas on each device in use. */
export function replicasByDevice({ replicas }: Candidate): Map<number, Replica[]> {
  const on = new Map<number, Replica[]>();
  for (const replica of replicas) {
    for (const device of replica.devices) {
      const there = on.get(device);
      if (there) there.push(replica);
      else on.set(device, [replica]);
    }
  }
  return on;
}

/** Price per hour of all devices in use. */
export function costOf(problem: Problem, candidate: Candidate): number {
  let cost = 0;
  for (const device of replicasByDevice(candidate).keys()) cost += cellAt(problem, device)?.pricePerHour ?? 0;
  return cost;
}

/**
 * Whether the variants have the demanded quality, every pool has a replica, every replica fits its device, replicas share the
 * device's memory, and one that spans devices is on one node and shares them as `mayOverlap` allows.
 */
export function isPossible(problem: Problem, candidate: Candidate): boolean {
  const served = new Set(candidate.replicas.map(({ pool }) => pool));
  if (served.size < problem.pools.length || !hasQuality(problem, candidate.configs)) return false;
  for (const [device, replicas] of replicasByDevice(candidate)) {
    const cell = cellAt(problem, device);
    if (cell === undefined) return false;
    let bytes = 0;
    let llm = false;
    for (const [i, { pool, devices }] of replicas.entries()) {
      const use = useOn(problem, candidate, pool, device);
      if (use === undefined || use.width !== devices.length) return false;
      if (replicas.length > 1 && cell.sharing === 'exclusive') return false;
      if (replicas.some((other) => !mayOverlap(cell, devices, other.devices))) return false;
      if (devices.some((other) => cellAt(problem, other) !== cell)) return false;
      if (replicas.some((other) => areParts(problem, pool, other.pool))) return false;
      // More replicas of a pool on a device than concurrent calls would only wait for each other.
      if (replicas.slice(0, i).filter((other) => other.pool === pool).length >= cell.concurrency) return false;
      bytes += use.memoryBytes;
      llm ||= use.profile.batching === 'continuous';
    }
    if (bytes > roomOf(cell, llm)) return false;
  }
  return true;
}

/**
 * Whether replicas may have devices in common: those that span exactly the same ones, and on devices that share their time evenly,
 * without another slowdown, also where one spans all that the other does, such as a model on one of the two devices of another. Two that overlap only
 * partly, each with a device that the other lacks, may not.
 */
export const mayOverlap = (
  { sharing, slowdown }: Pick<Cell, 'sharing' | 'slowdown'>,
  a: readonly number[],
  b: readonly number[],
): boolean => {
  const isWithin = a.length <= b.length ? a.every((each) => b.includes(each)) : b.every((each) => a.includes(each));
  return isWithin && (a.length === b.length || (sharing === 'time-sliced' && slowdown === 1));
};

/**
 * Tokens in the cache of an LLM's replica: those that it needs at least, and its part of the memory that its devices have
 * left. Several LLM servers on a device share that evenly; of devices with different neighbours the one with least counts.
 */
export function mostTokensOf(
  problem: Problem,
  candidate: Candidate,
  replica: Replica,
  on: ReadonlyMap<number, readonly Replica[]>,
): number {
  const use = useOn(problem, candidate, replica.pool, replica.devices[0] ?? 0);
  if (use === undefined) return Number.POSITIVE_INFINITY;
  if (use.tokenBytes === 0) return use.mostTokens;
  return use.mostTokens + Math.floor(spareBytesOf(problem, candidate, replica, on) / use.tokenBytes);
}

/**
 * Bytes that the server of a replica takes on each of its devices: what it needs, and of an LLM its part of what they leave, as far as whole
 * tokens fill it where their size is known.
 */
export function takenBytes(
  problem: Problem,
  candidate: Candidate,
  replica: Replica,
  on: ReadonlyMap<number, readonly Replica[]>,
): number {
  const use = useOn(problem, candidate, replica.pool, replica.devices[0] ?? 0);
  if (use === undefined) return 0;
  if (!takesTheRest(use)) return use.memoryBytes;
  if (use.tokenBytes === 0) return Math.floor(use.memoryBytes + spareBytesOf(problem, candidate, replica, on));
  return use.memoryBytes + (mostTokensOf(problem, candidate, replica, on) - use.mostTokens) * use.tokenBytes;
}

/** Bytes on each of its devices that an LLM's replica may have beyond what it needs. */
function spareBytesOf(
  problem: Problem,
  candidate: Candidate,
  { devices }: Replica,
  on: ReadonlyMap<number, readonly Replica[]>,
): number {
  const cell = cellAt(problem, devices[0] ?? 0);
  if (cell === undefined) return 0;
  const parts = devices.map((each) => {
    let left = roomOf(cell, true);
    let llms = 0;
    for (const other of on.get(each) ?? []) {
      const beside = useOn(problem, candidate, other.pool, each);
      left -= beside?.memoryBytes ?? 0;
      if (beside && takesTheRest(beside)) llms += 1;
    }
    return Math.max(0, left) / Math.max(1, llms);
  });
  return Math.min(...parts);
}

/** A key that is equal for candidates that are the same but for which of the devices that are alike they use. */
export function keyOf({ alike }: Pick<Problem, 'alike'>, candidate: Candidate): string {
  const on = replicasByDevice(candidate);
  const spelled: string[] = [];
  for (const [device, there] of on) {
    const pools = there.flatMap(({ pool, devices }) => (devices.length > 1 ? [] : [pool]));
    if (pools.length > 0) spelled.push(`${alike[device]}:${pools.sort((a, b) => a - b).join('+')}`);
  }
  // With the pools on each: a possible candidate and an impossible one differ in these.
  for (const replica of candidate.replicas) if (replica.devices.length > 1) spelled.push(spellSpan(alike, replica, on));
  const waits = (candidate.delaysMs ?? []).map((_, pool) => delayOf(candidate, pool));
  const waiting = waits.some((ms) => ms > 0) ? `|${waits.join()}` : '';
  return `${candidate.configs.join(',')}|${spelled.sort().join(' ')}${waiting}`;
}

/** A replica that spans devices, with the pools on each of them, whatever their order. */
export function spellSpan(
  alike: Problem['alike'],
  { pool, devices }: Replica,
  on: ReadonlyMap<number, readonly Replica[]>,
): string {
  const beside = (device: number) => (on.get(device) ?? []).map((other) => other.pool).sort((a, b) => a - b);
  const across = devices.map((device) => `${alike[device]}*${beside(device).join()}`);
  return `${pool}@${across.sort().join('+')}`;
}

/**
 * A pool's replicas in the order in which equally busy ones are chosen: the fastest first, then by what else is on
 * their devices. This makes a placement's meaning independent of how it was built and of which equivalent devices it
 * uses.
 */
export function orderedReplicas(problem: Problem, candidate: Candidate, pool: number): readonly Replica[] {
  return orderOf(problem, candidate, pool, replicasByDevice(candidate));
}

function orderOf(
  problem: Problem,
  candidate: Candidate,
  pool: number,
  on: ReadonlyMap<number, readonly Replica[]>,
): readonly Replica[] {
  const ranked = candidate.replicas.flatMap((replica) => {
    if (replica.pool !== pool) return [];
    const device = replica.devices[0] ?? 0;
    const others = new Set(replica.devices.flatMap((each) => on.get(each) ?? []));
    const beside = [...others].map((other) => other.pool).sort((a, b) => a - b);
    return [{ replica, device, ms: useOn(problem, candidate, pool, device)?.batchMs ?? 0, beside: beside.join() }];
  });
  const alike = (device: number) => problem.alike[device] ?? 0;
  ranked.sort(
    (a, b) =>
      a.ms - b.ms ||
      a.beside.length - b.beside.length ||
      compared(a.beside, b.beside) ||
      alike(a.device) - alike(b.device) ||
      a.device - b.device,
  );
  return ranked.map(({ replica }) => replica);
}

const compared = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Input for the simulator. */
export function simulatedPlacement(problem: Problem, candidate: Candidate): SimulatedPlacement {
  const on = replicasByDevice(candidate);
  return {
    pools: problem.pools.map(({ handsTo }, p) => {
      const config = configOf(problem, candidate, p);
      const own = orderOf(problem, candidate, p, on);
      const first = own[0] && useOn(problem, candidate, p, own[0].devices[0] ?? 0);
      return {
        batching: config?.batching ?? 'dynamic',
        maxBatch: Math.min(...own.map(({ devices }) => useOn(problem, candidate, p, devices[0] ?? 0)?.maxBatch ?? 1)),
        preferred: first?.preferred ?? [],
        maxQueueDelayMs: delayOf(candidate, p),
        ...(handsTo && { handsTo }),
        replicas: own.map((replica) => {
          const [device = 0] = replica.devices;
          return {
            device,
            ...(replica.devices.length > 1 && { spans: replica.devices }),
            tables: useOn(problem, candidate, p, device)?.tables ?? [],
            mostTokens: mostTokensOf(problem, candidate, replica, on),
          };
        }),
      };
    }),
  };
}
