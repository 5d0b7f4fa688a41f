import { type Candidate, cellAt } from './candidate.js';
import type { Problem, Use } from './problem.js';
import { horizonMs } from './targets.js';
import { Workbench } from './workbench.js';

/** How full the first draft of a placement makes its devices. */
export interface Draft {
  /** Target utilisation of a pool's devices, by pool. */
  readonly busy: readonly number[];
  /** Whether a partial load may share a device. */
  readonly share: boolean;
  /** Price per hour by which a pool's time, as a multiple of the objective, is weighted: 0 considers cost only. */
  readonly haste: number;
  /** The load as a multiple of the problem's. */
  readonly speed?: number;
  /** Least quality of the variants, by pool. */
  readonly floors?: readonly number[];
}

/** Hourly cost of serving a pool this way: by time or by memory, whichever is scarcer. */
function priceOf(problem: Problem, use: Use, cell: number, busy: number, { haste, speed = 1 }: Draft): number {
  const { pricePerHour, capacity, memoryBytes } = problem.cells[cell] ?? {
    pricePerHour: 0,
    capacity: 1,
    memoryBytes: 1,
  };
  // Long queues make full batches, in which calls of mixed sizes may take longer than in those that are likely.
  const time = (Math.max(use.draftErlangs, use.fullErlangs) * speed * use.width) / (busy * capacity);
  const room = (use.memoryBytes * use.width) / memoryBytes;
  // Without prices fewer devices are preferred.
  return (pricePerHour + 1e-3) * Math.max(time, room) + (haste * use.batchMs) / horizonMs(problem.objective);
}

interface Offer {
  readonly config: number;
  readonly cell: number;
  readonly price: number;
}

/** Ways to serve a pool, cheapest first. */
function offersFor(problem: Problem, pool: number, busy: number, draft: Draft): readonly Offer[] {
  const floor = draft.floors?.[pool] ?? 0;
  const offers = (problem.pools[pool]?.configs ?? []).flatMap(({ uses, quality }, config) =>
    problem.cells.flatMap((cell, c): Offer[] => {
      const use = uses[cell.kind];
      if (quality < floor || !use || use.memoryBytes > cell.memoryBytes || use.width > cell.devices.length) return [];
      return [{ config, cell: c, price: priceOf(problem, use, c, busy, draft) }];
    }),
  );
  return offers.sort((a, b) => a.price - b.price);
}

/**
 * A first draft: each pool in its cheapest way, on whole devices as far as its load fills them; remainders are combined
 * on shared devices, consecutive stages on one node if possible. Undefined if the devices do not suffice.
 */
export function construct(problem: Problem, draft: Draft): Candidate | undefined {
  const { busy, share, speed = 1 } = draft;
  const offers = problem.pools.map((_, p) => offersFor(problem, p, busy[p] ?? 1, draft));
  if (offers.some((list) => list.length === 0)) return undefined;
  const bench = new Workbench(problem, { configs: offers.map((list) => list[0]?.config ?? 0), replicas: [] });
  const shared = new Map<number, number>();
  const rest: { readonly pool: number; readonly erlangs: number }[] = [];
  for (const [p, list] of offers.entries()) {
    const config = list[0]?.config;
    // In units of the pool's whole load: a kind that is twice as fast serves twice as much of it.
    let left = 1;
    for (const { cell } of list.filter((offer) => offer.config === config)) {
      const { concurrency, devices } = problem.cells[cell] ?? { concurrency: 1, devices: [] };
      const use = bench.use(p, devices[0] ?? -1);
      if (use === undefined) continue;
      const each = Math.min(1, use.fullErlangs > 0 ? (busy[p] ?? 1) / (use.fullErlangs * speed) : 1);
      const fillable = () => left >= each - 1e-9 || (left > 1e-9 && !share);
      while (fillable()) {
        const free = bench.freeFor(p, cell);
        if (free === undefined) break;
        for (let i = 0; i < (use.width > 1 ? 1 : concurrency) && left > 1e-9; i += 1) {
          // Fewer replicas than calls at once, where the memory has room for fewer.
          if (i > 0 && !bench.fits(p, free[0] ?? -1)) break;
          bench.add(p, free);
          left -= each;
        }
      }
      if (left <= 1e-9) break;
      if (share && left < each) break;
    }
    if (left > 1e-9) rest.push({ pool: p, erlangs: left });
  }
  rest.sort((a, b) => sizeOf(bench, problem, b, speed) - sizeOf(bench, problem, a, speed));
  for (const each of rest) {
    if (!putTogether(problem, bench, shared, each, offers[each.pool] ?? [], busy[each.pool] ?? 1, speed))
      return undefined;
  }
  return bench.candidate;
}

function sizeOf(
  bench: Workbench,
  problem: Problem,
  { pool, erlangs }: { pool: number; erlangs: number },
  speed: number,
): number {
  const sizes = problem.cells.flatMap(({ devices, memoryBytes, capacity }) => {
    const use = bench.use(pool, devices[0] ?? -1);
    return use ? [Math.max((use.fullErlangs * erlangs * speed) / capacity, use.memoryBytes / memoryBytes)] : [];
  });
  return Math.min(...sizes);
}

/** Puts a part of a pool's load on the fullest shared device with room, else on the cheapest free one. */
function putTogether(
  problem: Problem,
  bench: Workbench,
  shared: Map<number, number>,
  { pool, erlangs }: { readonly pool: number; readonly erlangs: number },
  offers: readonly Offer[],
  busy: number,
  speed: number,
): boolean {
  const loadOn = (device: number) =>
    ((bench.use(pool, device)?.fullErlangs ?? 0) * erlangs * speed) / (cellAt(problem, device)?.capacity ?? 1);
  // A device, or a group of them that replicas span, by its first.
  const placeAt = (device: number) => (bench.use(pool, device)?.width === 1 ? [device] : bench.on(device)[0]?.devices);
  const fitsAt = (device: number) => bench.fitsOn(pool, placeAt(device) ?? []);
  const take = (devices: readonly number[], otherwise: number) => {
    bench.add(pool, devices);
    for (const device of devices) shared.set(device, (shared.get(device) ?? otherwise) + loadOn(device));
  };
  const [best] = [...shared.entries()]
    .filter(([device, taken]) => taken + loadOn(device) <= busy && fitsAt(device))
    .sort((a, b) => b[1] - a[1]);
  if (best) {
    take(placeAt(best[0]) ?? [best[0]], 0);
    return true;
  }
  const configs = bench.candidate.configs;
  for (const { cell, config } of offers) {
    if (config !== configs[pool]) continue;
    const free = bench.freeFor(pool, cell);
    if (free === undefined) continue;
    take(free, 0);
    return true;
  }
  // No device is free: use any with enough memory.
  const anywhere = bench
    .usedDevices()
    .filter((device) => placeAt(device)?.[0] === device && fitsAt(device))
    .sort((a, b) => (shared.get(a) ?? 1) - (shared.get(b) ?? 1))[0];
  const place = anywhere === undefined ? bench.placesFor(pool)[0] : (placeAt(anywhere) ?? [anywhere]);
  if (place === undefined) return false;
  take(place, 1);
  return true;
}
