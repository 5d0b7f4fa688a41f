import { type DynamicTable, type Load, meanAt, stepAt, type Table } from '../simulator/index.js';
import { cachedPrompts } from './prompt-times.js';
import type { Pieces } from './stream-pieces.js';

/** Number of quantiles of the load's sizes that represent all. */
const SAMPLES = 256;

const known = new WeakMap<Float64Array, readonly number[]>();

/** Quantiles of a column of the load, evenly spaced; the typical size if the load lacks the column. */
function sampled(load: Load, column: string | undefined, typical: number): readonly number[] {
  const values = column === undefined ? undefined : load.sizes[column];
  if (!values || values.length === 0) return [typical];
  let sizes = known.get(values);
  if (sizes === undefined) {
    const sorted = values.filter((value) => !Number.isNaN(value)).sort();
    const count = Math.min(SAMPLES, sorted.length);
    sizes = Array.from({ length: count }, (_, i) => sorted[Math.floor(((i + 0.5) * sorted.length) / count)] ?? 0);
    known.set(values, sizes);
  }
  return sizes.length > 0 ? sizes : [typical];
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Times of a stage's calls, in milliseconds. */
export interface CallTimes {
  /** Mean time of a batch by its size, from 1; for sequences, the time of one when that many run. */
  readonly batchMs: readonly number[];
  /** Replica time used by one call of a batch of this size. */
  readonly workMs: readonly number[];
  /** Average tokens of a sequence, prompt and answer; 0 for other models. */
  readonly tokens: number;
  /**
   * Of an LLM with prefix caches: what a prompt takes more than in the times above with so many replicas, which have fewer of the
   * prompts. The times above are those of the most that any number of replicas has. Absent: nothing.
   */
  readonly extraMs?: (replicas: number) => number;
}

/**
 * Times of a load's calls by one table, up to a maximum batch size. `pieces`: in how many calls a run reads a stream, by
 * its tokens; the work is then that of all its pieces.
 */
export function callTimes(table: Table, load: Load, maxBatch: number, pieces?: Pieces): CallTimes {
  if (pieces && table.batching === 'dynamic') return piecewise(table, load, maxBatch, pieces);
  const batches = Array.from({ length: maxBatch }, (_, i) => i + 1);
  if (table.batching === 'dynamic') {
    const sizes = sampled(load, table.column, table.typical);
    const batchMs = batches.map((batch) => average(sizes.map((size) => meanAt(table.call, batch, size))));
    return {
      batchMs,
      workMs: batchMs.map((ms, i) => ms / (i + 1)),
      tokens: 0,
    };
  }
  const sizesIn = sampled(load, table.columnIn, table.typicalIn);
  const sizesOut = sampled(load, table.columnOut, table.typicalOut);
  const tokensIn = average(sizesIn);
  // The prompt yields the first token, unless another replica has processed it.
  const steps = sizesOut.map((tokens) =>
    table.part === 'prefill' ? 0 : Math.max(0, table.part === 'decode' ? tokens : tokens - 1),
  );
  const more = average(steps);
  const cached = cachedPrompts(table, load);
  const promptMs =
    table.part === 'decode' ? 0 : (cached?.leastMs ?? average(sizesIn.map((size) => meanAt(table.prefill, 1, size))));
  // Long answers are in the cache for more steps: the context of a step is weighted by them.
  const squares = average(steps.map((each) => each ** 2));
  const context = tokensIn + (more > 0 ? squares / more / 2 : 0);
  const step = (batch: number) => stepAt(table.steps, batch, context);
  return {
    // The other sequences' prompts are processed while it generates.
    batchMs: batches.map((batch) => promptMs * batch + more * step(batch)),
    workMs: batches.map((batch) => promptMs + (more * step(batch)) / batch),
    tokens: tokensIn + (table.part === 'prefill' ? 0 : average(sizesOut)),
    ...(cached && { extraMs: cached.extraMs }),
  };
}

/** Of a stage that is called for each piece of a stream, by an even sample of the runs. */
function piecewise(table: DynamicTable, load: Load, maxBatch: number, pieces: Pieces): CallTimes {
  const { column, typical, pieceTokens } = pieces;
  const count = Math.min(SAMPLES, load.timesMs.length);
  const stated = (values: Float64Array | undefined, run: number, otherwise: number) => {
    const value = values?.[run] ?? Number.NaN;
    return Number.isNaN(value) ? otherwise : value;
  };
  const sampled = Array.from({ length: count }, (_, i) => {
    const run = Math.floor(((i + 0.5) * load.timesMs.length) / count);
    const all = Math.max(1, Math.ceil(stated(load.sizes[column], run, typical) / pieceTokens));
    const size = stated(table.column === undefined ? undefined : load.sizes[table.column], run, table.typical);
    return { all, size: size / all };
  });
  const batches = Array.from({ length: maxBatch }, (_, i) => i + 1);
  return {
    batchMs: batches.map((batch) => average(sampled.map(({ size }) => meanAt(table.call, batch, size)))),
    workMs: batches.map((batch) =>
      average(sampled.map(({ all, size }) => (all * meanAt(table.call, batch, size)) / batch)),
    ),
    tokens: 0,
  };
}
