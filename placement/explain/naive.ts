import { type Candidate, isPossible, type Problem, type Replica, useOn } from '../planner/index.js';

/** A placement made by a rule of thumb, without measuring. */
export interface Naive {
  readonly name: 'all on one device' | 'round robin' | 'memory table';
  readonly candidate: Candidate;
}

/**
 * Common rules of thumb: everything on one device (copied to every device that has room for it all), stages assigned to
 * devices in turn, and a table of memory: the largest models first, each onto the device with the most room left, until
 * nothing fits any more. Only those that are feasible here.
 *
 * @param tried configurations of the pools, by index; the first that is possible is used
 */
export function naivePlacements(
  problem: Problem,
  tried: readonly (readonly number[])[] = fallingBatches(problem),
): readonly Naive[] {
  const makers = [
    ['all on one device', allOnOne],
    ['round robin', roundRobin],
    ['memory table', memoryTable],
  ] as const;
  return makers.flatMap(([name, make]): Naive[] => {
    for (const each of tried) {
      const candidate = { configs: each, replicas: make(problem, each) };
      if (isPossible(problem, candidate)) return [{ name, candidate }];
    }
    return [];
  });
}

/** The largest batches; if they do not fit, smaller ones. */
function fallingBatches({ pools }: Problem): readonly (readonly number[])[] {
  const configs = pools.map(({ configs: list }) => list.length - 1);
  return [configs, configs.map((config) => Math.floor(config / 2)), configs.map(() => 0)];
}

const places = ({ devices }: Problem): readonly number[] => devices.map((_, device) => device);

function allOnOne(problem: Problem, configs: readonly number[]): Replica[] {
  const all = (device: number) => problem.pools.map((_, pool): Replica => ({ pool, devices: [device] }));
  return places(problem)
    .filter((device) => {
      const uses = problem.pools.map((_, pool) => useOn(problem, { configs, replicas: [] }, pool, device));
      const bytes = uses.reduce((sum, use) => sum + (use?.memoryBytes ?? Number.POSITIVE_INFINITY), 0);
      return uses.every((use) => use?.width === 1) && bytes <= (problem.devices[device]?.memoryBytes ?? 0);
    })
    .flatMap(all);
}

function roundRobin(problem: Problem, configs: readonly number[]): Replica[] {
  const room = problem.devices.map(({ memoryBytes }) => memoryBytes);
  const replicas: Replica[] = [];
  const count = Math.max(problem.devices.length, problem.pools.length);
  for (let i = 0; i < count; i += 1) {
    const pool = i % problem.pools.length;
    for (let j = 0; j < room.length; j += 1) {
      const device = (i + j) % room.length;
      if (put(problem, configs, replicas, room, pool, device)) break;
    }
  }
  return replicas;
}

function memoryTable(problem: Problem, configs: readonly number[]): Replica[] {
  const room = problem.devices.map(({ memoryBytes }) => memoryBytes);
  const replicas: Replica[] = [];
  const has = problem.pools.map(() => new Set<number>());
  const size = (pool: number) =>
    Math.max(...(problem.pools[pool]?.configs[configs[pool] ?? 0]?.uses.map((use) => use?.memoryBytes ?? 0) ?? [0]));
  const order = problem.pools.map((_, pool) => pool).sort((a, b) => size(b) - size(a));
  for (let placed = true; placed; ) {
    placed = false;
    for (const pool of order) {
      const device = roomiest(problem, configs, room, pool, has[pool] ?? new Set());
      if (device === undefined || !put(problem, configs, replicas, room, pool, device)) continue;
      has[pool]?.add(device);
      placed = true;
    }
  }
  return replicas;
}

/** The device with the most room left for a model, of equals the first; undefined if it fits none that lacks it. */
function roomiest(
  problem: Problem,
  configs: readonly number[],
  room: readonly number[],
  pool: number,
  has: ReadonlySet<number>,
): number | undefined {
  let best: number | undefined;
  for (const [device, left] of room.entries()) {
    if (has.has(device) || (best !== undefined && left <= (room[best] ?? 0))) continue;
    const bytes = useOn(problem, { configs, replicas: [] }, pool, device)?.memoryBytes ?? Number.POSITIVE_INFINITY;
    if (bytes <= left) best = device;
  }
  return best;
}

function put(
  problem: Problem,
  configs: readonly number[],
  replicas: Replica[],
  room: number[],
  pool: number,
  device: number,
): boolean {
  const use = useOn(problem, { configs, replicas: [] }, pool, device);
  if (use === undefined || use.width > 1 || use.memoryBytes > (room[device] ?? 0)) return false;
  replicas.push({ pool, devices: [device] });
  room[device] = (room[device] ?? 0) - use.memoryBytes;
  return true;
}
