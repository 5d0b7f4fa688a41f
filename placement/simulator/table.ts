import { type ContinuousProfile, chunkTokensOf, type DynamicProfile, type Profile } from '../profiles/index.js';
import type { PrefixRouting } from './prefix.js';
import { type StepTimes, stepTimes } from './steps.js';

/** Times of one kind of call as a quantile function of batch and size, ready for the simulator. */
export interface Curve {
  /** Largest batch. */
  readonly batches: number;
  /** Measured sizes, ascending; one if the time does not depend on the size. */
  readonly sizes: Float64Array;
  /** Probabilities of the knots, from 0 to 1. */
  readonly probabilities: Float64Array;
  /** Milliseconds at [batch - 1][size][knot]. */
  readonly knots: Float64Array;
}

export interface DynamicTable {
  readonly batching: 'dynamic';
  readonly overheadMs: number;
  readonly column?: string | undefined;
  readonly typical: number;
  readonly call: Curve;
}

export interface ContinuousTable {
  readonly batching: 'continuous';
  readonly overheadMs: number;
  readonly columnIn: string;
  readonly columnOut: string;
  readonly typicalIn: number;
  readonly typicalOut: number;
  readonly prefill: Curve;
  readonly steps: StepTimes;
  /** Most tokens of prompts in a step beside the running sequences. */
  readonly chunkTokens: number;
  /** The only part of a call that these replicas are planned for; absent: both. The simulator knows it by the pools. */
  readonly part?: 'prefill' | 'decode';
  /** How calls come to replicas whose prefix caches have a part of their prompts. Absent: nothing of a prompt is cached. */
  readonly routing?: PrefixRouting | undefined;
  /** The column of the load with the tokens in a prefix cache, or the beginning of the names of several: see `cachedOf`. */
  readonly columnCached?: string | undefined;
}

export type Table = DynamicTable | ContinuousTable;

/** Probabilities of the percentiles; beyond the last the same slope is assumed, for lack of data. */
const PROBABILITIES = Float64Array.of(0, 0.5, 0.95, 0.99, 1);
/** Lower limit as a share of the median, for a wide distribution that is assumed symmetric. */
const LEAST_OF_MEDIAN = 0.2;

interface Measured {
  readonly p50Ms: number;
  readonly p95Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
  readonly meanMs?: number | undefined;
}

function knotsOf({ p50Ms, p95Ms = p50Ms, p99Ms = p95Ms, meanMs }: Measured): readonly number[] {
  const most = p99Ms + (p99Ms - p95Ms) / 2;
  const above = 0.45 * (p50Ms + p95Ms) + 0.04 * (p95Ms + p99Ms) + 0.01 * (p99Ms + most);
  const least = meanMs === undefined ? p50Ms - ((p95Ms - p50Ms) * 0.5) / 0.45 : (2 * meanMs - above) / 0.5 - p50Ms;
  return [Math.min(p50Ms, Math.max(LEAST_OF_MEDIAN * p50Ms, least)), p50Ms, p95Ms, p99Ms, most];
}

interface Row extends Measured {
  readonly batch: number;
  readonly size: number;
}

/** Rows in a grid of batches and sizes, interpolated between batches. */
function curveOf(rows: readonly Row[]): Curve {
  const sizes = [...new Set(rows.map(({ size }) => size))].sort((a, b) => a - b);
  const measured = [...new Set(rows.map(({ batch }) => batch))].sort((a, b) => a - b);
  const batches = measured.at(-1) ?? 1;
  const width = PROBABILITIES.length;
  const knots = new Float64Array(batches * sizes.length * width);
  const at = (batch: number, size: number) => {
    const row = rows.find((each) => each.batch === batch && each.size === size);
    return row ? knotsOf(row) : [];
  };
  for (let batch = 1; batch <= batches; batch += 1) {
    const above = measured.find((each) => each >= batch) ?? batches;
    const below = measured.findLast((each) => each <= batch) ?? above;
    const share = above === below ? 0 : (batch - below) / (above - below);
    for (const [s, size] of sizes.entries()) {
      const high = at(above, size);
      for (const [q, low] of at(below, size).entries()) {
        knots[((batch - 1) * sizes.length + s) * width + q] = low + share * ((high[q] ?? low) - low);
      }
    }
  }
  return { batches, sizes: Float64Array.from(sizes), probabilities: PROBABILITIES, knots };
}

const dynamicTable = ({ latency, size, overheadMs }: DynamicProfile): DynamicTable => ({
  batching: 'dynamic',
  overheadMs,
  column: size?.variable,
  typical: size?.typical ?? 1,
  call: curveOf(latency.map((row) => ({ ...row, size: row.size ?? 1 }))),
});

/** The column with the tokens of a prompt that a prefix cache has, if the profile names no other. */
export const CACHED_COLUMN = 'tokens_cached';

/** The times of prompts by their tokens. */
export const promptCurve = (prefill: ContinuousProfile['prefill']): Curve =>
  curveOf(prefill.map(({ tokens, ...row }) => ({ ...row, batch: 1, size: tokens })));

function continuousTable(profile: ContinuousProfile, routing: PrefixRouting | undefined): ContinuousTable {
  const { prefill, decode, size, overheadMs } = profile;
  const chunkTokens = chunkTokensOf(profile);
  const rows = decode.map((row) => curveOf([{ ...row, batch: 1, size: 1 }]));
  return {
    batching: 'continuous',
    overheadMs,
    columnIn: size.in,
    columnOut: size.out,
    typicalIn: size.typicalIn ?? Number.NaN,
    typicalOut: size.typicalOut ?? Number.NaN,
    prefill: promptCurve(prefill),
    steps: stepTimes(profile, (i) => meanAt(rows[i] as Curve, 1, 1)),
    chunkTokens: chunkTokens > 0 ? chunkTokens : Number.POSITIVE_INFINITY,
    columnCached: size.cached ?? CACHED_COLUMN,
    ...(routing && { routing }),
  };
}

/** The simulator's input from a profile. `routing`: of an LLM whose servers cache prefixes. */
export const tableOf = (profile: Profile, routing?: PrefixRouting): Table =>
  profile.batching === 'dynamic' ? dynamicTable(profile) : continuousTable(profile, routing);

/** Of a replica's tables by stage the first of an LLM: the replica takes its steps, whatever the stage of a call. Undefined: it forms batches. */
export function firstContinuous(tables: readonly (Table | undefined)[]): ContinuousTable | undefined {
  for (const table of tables) if (table?.batching === 'continuous') return table;
  return undefined;
}

/** The quantile of `draw` (from 0 to 1) of a batch whose largest member has this size, in milliseconds. */
export function quantileAt({ sizes, probabilities, knots }: Curve, batch: number, size: number, draw: number): number {
  let q = 1;
  while (q < probabilities.length - 1 && draw > (probabilities[q] as number)) q += 1;
  const from = probabilities[q - 1] as number;
  const share = (draw - from) / ((probabilities[q] as number) - from);
  const width = probabilities.length;
  const last = sizes.length - 1;
  let s = 0;
  while (s < last && size > (sizes[s] as number)) s += 1;
  const base = ((batch - 1) * sizes.length + s) * width + q;
  const low = knots[base - 1] as number;
  const here = low + share * ((knots[base] as number) - low);
  const top = sizes[s] as number;
  // Sizes up to the first cost as much as the first; beyond the last the time grows in proportion, or faster if it did
  // so between the last two.
  if (s === 0) return size <= top || last > 0 ? here : (here * size) / top;
  if (size >= top) {
    const lower = knots[base - 1 - width] as number;
    const previous = lower + share * ((knots[base - width] as number) - lower);
    const slope = (here - previous) / (top - (sizes[s - 1] as number));
    return Math.max((here * size) / top, here + slope * (size - top));
  }
  const lowBefore = knots[base - 1 - width] as number;
  const before = lowBefore + share * ((knots[base - width] as number) - lowBefore);
  const bottom = sizes[s - 1] as number;
  return before + ((size - bottom) / (top - bottom)) * (here - before);
}

/** The mean of a batch of this size, in milliseconds: the quantile function's integral. */
export const meanAt = (curve: Curve, batch: number, size: number): number =>
  meanOf(curve, (draw) => quantileAt(curve, batch, size, draw));

function meanOf({ probabilities }: Curve, at: (draw: number) => number): number {
  let sum = 0;
  for (let q = 1; q < probabilities.length; q += 1) {
    const from = probabilities[q - 1] as number;
    const to = probabilities[q] as number;
    sum += (to - from) * at((from + to) / 2);
  }
  return sum;
}

/**
 * The time of a prompt of so many tokens, the first `cached` of which a prefix cache has, in milliseconds: that of a prompt of the
 * others alone, or what they add to the prompt of the cached ones, whichever is more. The second counts that each of them attends to
 * all tokens before it; the first, what a prompt takes at least.
 */
export function promptAt(prefill: Curve, tokens: number, cached: number, draw: number): number {
  const whole = quantileAt(prefill, 1, tokens, draw);
  if (cached <= 0) return whole;
  return Math.max(quantileAt(prefill, 1, tokens - cached, draw), whole - quantileAt(prefill, 1, cached, draw));
}

/**
 * What `promptAt` takes at least, whatever the draw. The difference of the two times is not least at the lowest draw where prompts of the
 * cached length vary more than whole ones, so it is looked at in every knot.
 */
export function leastPromptAt(prefill: Curve, tokens: number, cached: number): number {
  if (cached <= 0) return quantileAt(prefill, 1, tokens, 0);
  const added = (draw: number) => quantileAt(prefill, 1, tokens, draw) - quantileAt(prefill, 1, cached, draw);
  const least = prefill.probabilities.reduce((ms, draw) => Math.min(ms, added(draw)), Number.POSITIVE_INFINITY);
  return Math.max(quantileAt(prefill, 1, tokens - cached, 0), least);
}

/** The mean of `promptAt`. */
export const meanPromptAt = (prefill: Curve, tokens: number, cached: number): number =>
  meanOf(prefill, (draw) => promptAt(prefill, tokens, cached, draw));

/** The shortest time of a batch of at least this size whose largest member has this size, in milliseconds. */
export function leastTimeAt(curve: Curve, batch: number, maxBatch: number, size: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let b = batch; b <= Math.min(maxBatch, curve.batches); b += 1) {
    const ms = quantileAt(curve, b, size, 0);
    if (ms < least) least = ms;
  }
  return least;
}
