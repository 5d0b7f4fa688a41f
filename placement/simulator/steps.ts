import type { ContinuousProfile } from '../profiles/index.js';

/**
 * Time of a decoding step by the number of sequences and their average context, in milliseconds. A step reads the
 * weights once, and the key-value cache of every sequence: for a number of sequences it grows in proportion to the
 * tokens in the cache. Between measured points it is interpolated, beyond them the outermost slope continues.
 */
export interface StepTimes {
  /** Most sequences. */
  readonly most: number;
  /** Average tokens in the cache of a sequence, ascending. */
  readonly contexts: Float64Array;
  /** Milliseconds at [sequences - 1][context]. */
  readonly ms: Float64Array;
  /** More milliseconds for each token of average context, below the first and above the last context. */
  readonly below: Float64Array;
  readonly above: Float64Array;
}

interface Line {
  readonly batch: number;
  readonly points: readonly { readonly tokens: number; readonly ms: number }[];
}

/** Slopes of a line outside its points; `perToken` for one point alone. */
function slopesOf({ batch, points }: Line, perToken: number) {
  const slope = (i: number) => {
    const [a, b] = [points[i], points[i + 1]];
    return a && b ? Math.max(0, (b.ms - a.ms) / (b.tokens - a.tokens)) : batch * perToken;
  };
  return { below: slope(0), above: slope(Math.max(0, points.length - 2)) };
}

function valueAt(line: Line, tokens: number, perToken: number): number {
  const { points } = line;
  const { below, above } = slopesOf(line, perToken);
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return 0;
  if (tokens <= first.tokens) return Math.max(LEAST_SHARE * first.ms, first.ms - below * (first.tokens - tokens));
  if (tokens >= last.tokens) return last.ms + above * (tokens - last.tokens);
  const i = points.findIndex((point) => point.tokens >= tokens);
  const [a, b] = [points[i - 1] ?? first, points[i] ?? last];
  return a.ms + ((b.ms - a.ms) * (tokens - a.tokens)) / (b.tokens - a.tokens);
}

/** Reading the weights takes at least this share of the shortest measured step. */
const LEAST_SHARE = 0.5;

/**
 * Step times of a profile. `mean` is the mean time of its i-th row of `decode`. Rows without `tokens` do not depend on the
 * context. A batch measured at one context only grows like the others: by the average milliseconds for each token in the
 * cache.
 */
export function stepTimes({ decode }: ContinuousProfile, mean: (row: number) => number): StepTimes {
  const lines: Line[] = [...new Set(decode.map(({ batch }) => batch))]
    .sort((a, b) => a - b)
    .map((batch) => ({
      batch,
      points: decode
        .flatMap((row, i) => (row.batch === batch ? [{ tokens: row.tokens ?? 0, ms: mean(i) }] : []))
        .sort((a, b) => a.tokens - b.tokens),
    }));
  const sloped = lines.filter(({ points }) => points.length > 1);
  const perToken =
    sloped.reduce((sum, line) => sum + slopesOf(line, 0).above / line.batch, 0) / Math.max(1, sloped.length);
  const contexts = [...new Set(decode.map(({ tokens = 0 }) => tokens))].sort((a, b) => a - b);
  const most = lines.at(-1)?.batch ?? 1;
  const width = contexts.length;
  const ms = new Float64Array(most * width);
  const below = new Float64Array(most);
  const above = new Float64Array(most);
  for (let n = 1; n <= most; n += 1) {
    const high = lines.find(({ batch }) => batch >= n);
    const low = lines.findLast(({ batch }) => batch <= n) ?? high;
    if (high === undefined || low === undefined) continue;
    const share = high.batch === low.batch ? 0 : (n - low.batch) / (high.batch - low.batch);
    const mixed = (of: (line: Line) => number) => of(low) + share * (of(high) - of(low));
    for (const [c, tokens] of contexts.entries()) {
      ms[(n - 1) * width + c] = mixed((line) => valueAt(line, tokens, perToken));
    }
    below[n - 1] = mixed((line) => slopesOf(line, perToken).below);
    above[n - 1] = mixed((line) => slopesOf(line, perToken).above);
  }
  return { most, contexts: Float64Array.from(contexts), ms, below, above };
}

/** A step that takes the same time at every context, by the number of sequences from 1. */
export const evenSteps = (...ms: readonly number[]): StepTimes => ({
  most: ms.length,
  contexts: Float64Array.of(0),
  ms: Float64Array.from(ms),
  below: new Float64Array(ms.length),
  above: new Float64Array(ms.length),
});

/** Index of the first context above this one: the end of the segment that it is in. */
function segmentOf({ contexts }: StepTimes, context: number): number {
  let c = 0;
  while (c < contexts.length && context >= (contexts[c] as number)) c += 1;
  return c;
}

/** Milliseconds of a step of this many sequences with this average context. */
export function stepAt(steps: StepTimes, sequences: number, context: number): number {
  const n = Math.min(sequences, steps.most) - 1;
  const c = segmentOf(steps, context);
  const width = steps.contexts.length;
  const base = n * width;
  const at = steps.contexts[Math.max(0, c - 1)] as number;
  const here = steps.ms[base + Math.max(0, c - 1)] as number;
  const ms = here + slopeAt(steps, sequences, context) * (context - at);
  return c === 0 ? Math.max(LEAST_SHARE * here, ms) : ms;
}

/**
 * The contexts between which a step of this many sequences is linear in the context, from 0: those that were measured, and the one below which
 * it takes its least share of the shortest measured step. Beyond the last it is linear, too.
 */
export function bendsOf(steps: StepTimes, sequences: number): readonly number[] {
  const n = Math.min(sequences, steps.most) - 1;
  const [first = 0] = steps.contexts;
  const slope = steps.below[n] as number;
  const bend = slope > 0 ? first - ((1 - LEAST_SHARE) * (steps.ms[n * steps.contexts.length] as number)) / slope : 0;
  return [0, ...(bend > 0 ? [bend] : []), ...steps.contexts].filter((at, i) => i === 0 || at > 0);
}

/** The shortest step of all, whatever the number of sequences and their context. */
export function shortestStep(steps: StepTimes): number {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 1; n <= steps.most; n += 1)
    for (const context of [0, ...steps.contexts]) least = Math.min(least, stepAt(steps, n, context));
  return least;
}

/** Milliseconds that a step grows by for each token of average context. */
export function slopeAt(steps: StepTimes, sequences: number, context: number): number {
  const n = Math.min(sequences, steps.most) - 1;
  const c = segmentOf(steps, context);
  const width = steps.contexts.length;
  if (c === 0) return steps.below[n] as number;
  if (c === width) return steps.above[n] as number;
  const base = n * width + c;
  const run = (steps.contexts[c] as number) - (steps.contexts[c - 1] as number);
  return ((steps.ms[base] as number) - (steps.ms[base - 1] as number)) / run;
}

/** Tokens of average context up to the next measured context; infinite beyond the last. */
export function untilNextSlope(steps: StepTimes, context: number): number {
  const next = steps.contexts[segmentOf(steps, context)];
  return next === undefined ? Number.POSITIVE_INFINITY : next - context;
}
