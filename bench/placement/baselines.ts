import { naivePlacements } from '../../placement/explain/index.js';
import {
  attainable,
  type Candidate,
  horizonMs,
  isPossible,
  Judge,
  type Problem,
  type Replica,
  useOn,
} from '../../placement/planner/index.js';

/** The names of all placements to compare with: three that look at memory alone, two that use the profiles. */
export const BASELINES = [
  'all on one device',
  'round robin',
  'memory table',
  'common batch limit',
  'proportional spreadsheet',
] as const;
export type Baseline = (typeof BASELINES)[number];

/** Placements that people make without a search; each only if it is possible here. */
export function baselines(problem: Problem): ReadonlyMap<Baseline, Candidate> {
  const naive = naivePlacements(problem).map(({ name, candidate }): [Baseline, Candidate] => [name, candidate]);
  const common = commonBatchLimit(problem);
  const spreadsheet = proportionalSpreadsheet(problem);
  return new Map([
    ...naive,
    ...(common ? [['common batch limit', common] as const] : []),
    ...(spreadsheet ? [['proportional spreadsheet', spreadsheet] as const] : []),
  ]);
}

/**
 * One limit of batches for all models, and one of the three layouts that look at memory: all of them are tried on the load,
 * as by someone who measures, and the best is taken.
 */
export function commonBatchLimit(problem: Problem): Candidate | undefined {
  const limits = [...new Set(problem.pools.flatMap(({ configs }) => configs.map(({ maxBatch }) => maxBatch)))];
  const judge = new Judge(problem);
  let best: { readonly candidate: Candidate; readonly speed: number } | undefined;
  for (const limit of limits) {
    const configs = problem.pools.map(({ configs: own }) => {
      const upTo = own.map(({ maxBatch }) => (maxBatch <= limit ? maxBatch : 0));
      return upTo.indexOf(Math.max(...upTo));
    });
    for (const { candidate } of naivePlacements(problem, [configs])) {
      const speed = attainable(judge, candidate);
      if (speed > (best?.speed ?? 0)) best = { candidate, speed };
    }
  }
  return best?.candidate;
}

/**
 * What a spreadsheet of the profiles gives: whole devices in proportion to the device time that the load needs of each model,
 * the fastest first, each to the model that is served least by those before; and the largest batch that takes at most half
 * of the model's part of the objective, the other half being for the wait.
 */
export function proportionalSpreadsheet(problem: Problem): Candidate | undefined {
  const { pools, devices } = problem;
  const aloneMs = pools.map(({ configs }) => fastestMs(configs[0]?.uses ?? []));
  const all = aloneMs.reduce((sum, ms) => sum + ms, 0);
  const configs = pools.map(({ configs: own }, p) => {
    const allowedMs = ((aloneMs[p] ?? 0) / all) * (horizonMs(problem.objective) / 2);
    const fits = own.map(({ uses }) => fastestMs(uses) <= allowedMs);
    return Math.max(0, fits.lastIndexOf(true));
  });
  const replicas: Replica[] = [];
  /** Part of each model's load that its devices serve. */
  const served = pools.map(() => 0);
  const useOf = (pool: number, device: number) => useOn(problem, { configs, replicas: [] }, pool, device);
  const speedOf = (device: number) =>
    pools.reduce((sum, _, p) => sum + 1 / (useOf(p, device)?.erlangs ?? Number.POSITIVE_INFINITY), 0);
  const order = devices.map((_, device) => device).sort((a, b) => speedOf(b) - speedOf(a));
  const give = (pool: number, device: number) => {
    replicas.push({ pool, devices: [device] });
    served[pool] = (served[pool] ?? 0) + 1 / (useOf(pool, device)?.erlangs ?? Number.POSITIVE_INFINITY);
  };
  for (const device of order) {
    const [least] = pools
      .map((_, p) => p)
      .filter((p) => useOf(p, device)?.width === 1)
      .sort((a, b) => (served[a] ?? 0) - (served[b] ?? 0));
    if (least !== undefined) give(least, device);
  }
  // More models than devices: the others go where the memory has room.
  for (const [p] of pools.entries()) {
    if ((served[p] ?? 0) > 0) continue;
    const bytesOf = (pool: number, d: number) => useOf(pool, d)?.memoryBytes ?? Number.POSITIVE_INFINITY;
    const taken = (d: number) =>
      replicas.reduce((sum, { pool, devices: [on] }) => sum + (on === d ? bytesOf(pool, d) : 0), 0);
    const device = order.find((d) => taken(d) + bytesOf(p, d) <= (devices[d]?.memoryBytes ?? 0));
    if (device === undefined) return undefined;
    give(p, device);
  }
  const candidate = { configs, replicas };
  return isPossible(problem, candidate) ? candidate : undefined;
}

/** Milliseconds of a full batch on the kind that is fastest at it. */
const fastestMs = (uses: readonly ({ readonly batchMs: number } | undefined)[]): number =>
  Math.min(...uses.flatMap((use) => (use ? [use.batchMs] : [])));
