import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { SimulatedStage } from '../simulator/index.js';
import type { Draft } from './drafts.js';
import type { Problem, QualityDemand } from './problem.js';

/** Differences below are those of rounding. */
const ROUNDING = 1e-9;
/** Most combinations of variants from which drafts are made. */
const MOST_FLOORS = 8;

export function demandOf(least: number | undefined, stages: readonly SimulatedStage[]): QualityDemand | undefined {
  if (least === undefined) return undefined;
  const count = 1 + Math.max(...stages.map(({ pipeline }) => pipeline));
  const pipelines = Array.from({ length: count }, (_, p) =>
    stages.flatMap(({ pipeline, pool }) => (pipeline === p ? [pool] : [])),
  );
  return { least, pipelines };
}

/** The quality of a pipeline from end to end, by the quality of each pool. */
export const endToEnd = (pools: readonly number[], qualityOf: (pool: number) => number): number =>
  pools.reduce((product, pool) => product * qualityOf(pool), 1);

const isMet = ({ least, pipelines }: QualityDemand, qualityOf: (pool: number) => number): boolean =>
  pipelines.every((pools) => endToEnd(pools, qualityOf) >= least - ROUNDING);

/** Whether configurations of the pools have the quality that is demanded. */
export function hasQuality({ pools, quality }: Problem, configs: readonly number[]): boolean {
  return quality === undefined || isMet(quality, (p) => pools[p]?.configs[configs[p] ?? 0]?.quality ?? 0);
}

/**
 * The drafts without variants that reach the demanded quality with no variants of the others. Throws `PROFILE_MISSING` if none do.
 *
 * @param names of the pipelines
 */
export function reachingQuality(
  demand: QualityDemand | undefined,
  drafts: readonly (readonly Draft[])[],
  names: readonly string[],
): readonly (readonly Draft[])[] {
  if (demand === undefined) return drafts;
  const best = drafts.map((own) => Math.max(...own.map(({ profile }) => profile.quality)));
  const short = demand.pipelines.flatMap((pools, p): FieldError[] => {
    const most = endToEnd(pools, (pool) => best[pool] ?? 0);
    if (most >= demand.least - ROUNDING) return [];
    const message = `the best variants of all stages of ${names[p]} have ${Number(most.toFixed(4))} together, and ${demand.least} is demanded: demand less, or profile better variants`;
    return [{ field: '--quality', message }];
  });
  if (short.length > 0) throw invalidFields('PROFILE_MISSING', short);
  return drafts.map((own, pool) =>
    own.filter(({ profile: { quality } }) => isMet(demand, (other) => (other === pool ? quality : (best[other] ?? 0)))),
  );
}

/**
 * Floors of the pools' qualities that together have the demanded quality, and of which none can be lower alone: each names variants
 * among which a draft may choose freely. From the best variants on, the pool whose floor saves most for the quality that it loses is
 * lowered; once for each pool that is lowered first, and a few at most. Without a demand, no floors.
 */
export function qualityFloors(problem: Problem): readonly (readonly number[])[] {
  const { pools, quality } = problem;
  if (quality === undefined) return [pools.map(() => 0)];
  const known = pools.map(({ configs }) => [...new Set(configs.map((config) => config.quality))].sort((a, b) => a - b));
  const found = new Map<string, readonly number[]>();
  for (const first of [undefined, ...pools.keys()]) {
    const floors = loweredFrom(problem, quality, known, first);
    found.set(floors.join(), floors);
    if (found.size >= MOST_FLOORS) break;
  }
  return [...found.values()];
}

function loweredFrom(
  problem: Problem,
  demand: QualityDemand,
  known: readonly (readonly number[])[],
  first: number | undefined,
): readonly number[] {
  const floors = known.map((own) => own.at(-1) ?? 0);
  const isLow = (pool: number, floor: number) => isMet(demand, (p) => (p === pool ? floor : (floors[p] ?? 0)));
  const lower = (pool: number) => known[pool]?.find((floor) => floor < (floors[pool] ?? 0) && isLow(pool, floor));
  if (first !== undefined) floors[first] = lower(first) ?? (floors[first] as number);
  for (;;) {
    const steps = floors.flatMap((now, pool) => {
      const next = lower(pool);
      if (next === undefined) return [];
      const saved = priceAt(problem, pool, now) - priceAt(problem, pool, next);
      return [{ pool, next, gain: saved / Math.max(ROUNDING, Math.log(now / Math.max(next, ROUNDING))) }];
    });
    const [best] = steps.sort((a, b) => b.gain - a.gain);
    if (best === undefined) return floors;
    floors[best.pool] = best.next;
  }
}

/** What the load of a pool costs at least an hour with variants of at least this quality, by its devices' time. */
function priceAt({ pools, cells }: Problem, pool: number, floor: number): number {
  const prices = (pools[pool]?.configs ?? []).flatMap(({ quality, uses }) =>
    quality < floor
      ? []
      : cells.flatMap(({ kind, pricePerHour, capacity }) => {
          const use = uses[kind];
          return use ? [(pricePerHour * use.erlangs * use.width) / capacity] : [];
        }),
  );
  return prices.length > 0 ? Math.min(...prices) : 0;
}
