import { leastTimeAt } from '../simulator/index.js';
import type { Blocks } from './blocks.js';
import { gridOf, smallestOf } from './demand.js';
import { areWithin } from './density.js';
import type { Problem, Use } from './problem.js';

/** The batches of a stage, by size less 1: the least time of one in milliseconds, and its least priced time. */
interface Batches {
  readonly ms: Float64Array;
  readonly priced: Float64Array;
}

/** Stages of a chain that each run calls once, in pools of their own. */
interface Chain {
  /** By index, each with the kinds of devices that it may use. */
  readonly stages: readonly { readonly v: number; readonly kinds: ReadonlySet<number> }[];
  /** Arrivals of its runs, and the time from an arrival until the last stage must have ended. */
  readonly releaseMs: Float64Array;
  readonly allowedMs: number;
  /** Time of a run between these stages, or outside of devices. */
  readonly besidesMs: number;
}

/** What runs of a chain need at least at these prices by kind, as `leastLateInBlocks` counts it; undefined if none can be in time. */
export function blocksOf(problem: Problem, weights: readonly number[], chain: Chain): Blocks | undefined {
  const { releaseMs, allowedMs, besidesMs } = chain;
  const all = chain.stages.map(({ v, kinds }) => batchesOf(problem, v, kinds, weights));
  const leastMs = all.reduce((sum, { ms }) => sum + (ms[0] ?? Number.POSITIVE_INFINITY), besidesMs);
  if (leastMs > allowedMs) return undefined;
  const spanMs = Math.max(1, (releaseMs.at(-1) ?? 0) - (releaseMs[0] ?? 0));
  const typical = 1 + ((allowedMs - leastMs) * releaseMs.length) / spanMs;
  let setup = 0;
  let each = 0;
  for (const batches of all) {
    const line = lineBelow(batches.priced.subarray(0, largest(batches, releaseMs, allowedMs - leastMs)), typical);
    setup += line.setup;
    each += line.each;
  }
  return { releaseMs, allowedMs, leastMs, setup, each };
}

function batchesOf(
  { pools, stages, load }: Problem,
  v: number,
  kinds: ReadonlySet<number>,
  weights: readonly number[],
): Batches {
  const widest = new Map<Use['profile'], { readonly use: Use; readonly weight: number }>();
  for (const { uses } of pools[stages[v]?.pool ?? 0]?.configs ?? []) {
    for (const kind of kinds) {
      const use = uses[kind];
      if (use && use.maxBatch > (widest.get(use.profile)?.use.maxBatch ?? 0))
        widest.set(use.profile, { use, weight: weights[kind] ?? 0 });
    }
  }
  const most = Math.max(0, ...[...widest.values()].map(({ use }) => use.maxBatch));
  const ms = new Float64Array(most).fill(Number.POSITIVE_INFINITY);
  const priced = ms.slice();
  for (const { use, weight } of widest.values()) {
    const table = use.tables[v];
    if (table?.batching !== 'dynamic') continue;
    const size = smallestOf(load, table);
    for (let b = 1; b <= use.maxBatch; b += 1) {
      const least = leastTimeAt(table.call, b, use.maxBatch, size);
      ms[b - 1] = Math.min(ms[b - 1] as number, least);
      priced[b - 1] = Math.min(priced[b - 1] as number, weight * use.width * least);
    }
  }
  return { ms, priced };
}

/** No batch has more members in time: they arrive in a window of `windowMs`, less what it takes longer than a single call. */
function largest({ ms }: Batches, releaseMs: Float64Array, windowMs: number): number {
  for (const b of gridOf(ms.length)) {
    const left = windowMs - ((ms[b - 1] as number) - (ms[0] as number));
    if (b > 1 && (left < 0 || !areWithin(releaseMs, b, left))) return b - 1;
  }
  return ms.length;
}

/**
 * What a batch costs besides its members, and what each of them costs: together no more than these batches of 1, 2 ... cost, and as much
 * as possible near a size.
 */
export function lineBelow(costs: Float64Array, near: number): { readonly setup: number; readonly each: number } {
  const [single = 0] = costs;
  if (costs.length === 1) return { setup: single, each: 0 };
  // Between two sizes, so that the lowest chord over it is an edge of the convex hull.
  const at = Math.min(costs.length - 1, Math.max(1, Math.floor(near))) + 0.5;
  let lowest = Number.POSITIVE_INFINITY;
  let line = { setup: 0, each: 0 };
  for (let i = 1; i < at; i += 1) {
    for (let j = Math.ceil(at); j <= costs.length; j += 1) {
      const each = ((costs[j - 1] as number) - (costs[i - 1] as number)) / (j - i);
      const setup = (costs[i - 1] as number) - each * i;
      const value = setup + each * at;
      if (value >= lowest) continue;
      lowest = value;
      line = { setup, each };
    }
  }
  if (line.setup >= 0) return { setup: line.setup * ROUNDED, each: line.each * ROUNDED };
  return { setup: 0, each: ROUNDED * costs.reduce((least, cost, i) => Math.min(least, cost / (i + 1)), single) };
}

/** Rounding puts no line above the costs. */
const ROUNDED = 1 - 1e-9;
