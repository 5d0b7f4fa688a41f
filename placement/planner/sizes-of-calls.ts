import type { DynamicTable, Load } from '../simulator/index.js';
import { isStated, numberAt } from './number-at.js';
import { OncePerLoad } from './once-per-load.js';
import { type Calling, callsAt, keyOf, runsOf, typicalFor } from './own-runs.js';
import { type Pieces, piecesAt } from './stream-pieces.js';

/** Sizes, ascending. */
export interface Sizes {
  readonly sizes: Float64Array;
  /** How many calls have these sizes and all smaller ones, and the sum of theirs. */
  readonly calls: Float64Array;
  readonly sums: Float64Array;
}

/** The distribution of the sizes of a batched stage's calls, and how many calls of the pool each of them is. */
export interface SizesOfCalls {
  readonly sizes: Sizes;
  /** The pieces of a stream, of which each is a call of the pool; else 1. */
  readonly pieces: number;
}

const known = new OncePerLoad<SizesOfCalls>();

/** The part of a cache key that says which calls a stage has, and of which sizes. */
export function keyOfSizes(
  load: Load,
  { column, typical }: Pick<DynamicTable, 'column' | 'typical'>,
  stage: Calling,
  read: Pieces | undefined,
) {
  const { pipeline } = stage;
  const made = read && [read.column, typicalFor(load, pipeline, read.column, read.typical), read.pieceTokens];
  return [...keyOf(stage), 'of', column, typicalFor(load, pipeline, column, typical), ...(made ?? [])];
}

/** @param read how the stage reads a stream piece by piece; absent: a call reads all of it */
export function sizesOfCalls(
  load: Load,
  { column, typical }: DynamicTable,
  stage: Calling,
  read: Pieces | undefined,
): SizesOfCalls {
  return known.get(load, keyOfSizes(load, { column, typical }, stage, read), () => {
    const runs = runsOf(load, stage.pipeline);
    if (runs.length === 0 || (read === undefined && !isStated(load, column)))
      return { sizes: ascending(Float64Array.of(typical)), pieces: 1 };
    const size = numberAt(load, column, typical);
    const calls = callsAt(load, stage);
    if (read === undefined && calls === undefined)
      return { sizes: ascending(Float64Array.from(runs, size)), pieces: 1 };
    const piecesOf = read ? piecesAt(load, read) : () => 1;
    const callsOf = calls ?? (() => 1);
    const counts = Float64Array.from(runs, (run) => callsOf(run) * piecesOf(run));
    const all = runs.reduce((sum, run) => sum + callsOf(run), 0);
    const pieces = counts.reduce((sum, each) => sum + each, 0);
    const each = Float64Array.from(runs, (run) => size(run) / piecesOf(run));
    return { sizes: ascending(each, counts), pieces: all > 0 ? pieces / all : 1 };
  });
}

/** @param counts how many calls have each of the sizes; absent, or if none has: one each */
export function ascending(sizes: Float64Array, counts?: Float64Array): Sizes {
  const own = counts?.some((each) => each > 0) ? counts : undefined;
  const order = Int32Array.from(own ? sizes.keys() : []).sort((a, b) => (sizes[a] as number) - (sizes[b] as number));
  const sorted = own ? Float64Array.from(order, (i) => sizes[i] as number) : sizes.slice().sort();
  const calls = new Float64Array(sorted.length);
  const sums = new Float64Array(sorted.length);
  let count = 0;
  let sum = 0;
  for (const [i, size] of sorted.entries()) {
    const each = own ? (own[order[i] as number] as number) : 1;
    count += each;
    sum += each * size;
    calls[i] = count;
    sums[i] = sum;
  }
  return { sizes: sorted, calls, sums };
}

/** A share of all calls, and their mean size. */
export interface PartOfCalls {
  readonly share: number;
  readonly size: number;
}

/**
 * The calls in parts, by these sizes: up to the first, between two, beyond the last. The mean over all calls of what is linear in the size within
 * each part is that of the parts, exactly; so are times, by the sizes at which they were measured.
 */
export function partsOf({ sizes, calls, sums }: Sizes, bends: Float64Array): readonly PartOfCalls[] {
  const all = calls.at(-1) ?? 0;
  const parts: PartOfCalls[] = [];
  let [count, sum] = [0, 0];
  for (let b = 0; b <= bends.length; b += 1) {
    const last = (b < bends.length ? countUpTo(sizes, bends[b] as number) : sizes.length) - 1;
    const own = (calls[last] ?? 0) - count;
    if (own > 0) parts.push({ share: own / all, size: ((sums[last] as number) - sum) / own });
    [count, sum] = [calls[last] ?? 0, sums[last] ?? 0];
  }
  return parts;
}

export const meanOver = (parts: readonly PartOfCalls[], of: (size: number) => number): number =>
  parts.reduce((mean, { share, size }) => mean + share * of(size), 0);

/** How many of these, ascending, are not above a size. */
function countUpTo(sizes: Float64Array, most: number): number {
  let low = 0;
  let high = sizes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sizes[middle] as number) <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}
