import { type Load, meanAt, quantileAt, stepAt, type Table } from '../simulator/index.js';

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
  /** Minimum time of a single call: the median on an idle device, for the load's median size. */
  readonly aloneMs: number;
  /** Mean time of a batch by its size, from 1; for sequences, the time of one when that many run. */
  readonly batchMs: readonly number[];
  /** Replica time used by one call of a batch of this size. */
  readonly workMs: readonly number[];
  /** Average tokens of a sequence, prompt and answer; 0 for other models. */
  readonly tokens: number;
}

/** Times of a load's calls by one table, up to a maximum batch size. */
export function callTimes(table: Table, load: Load, maxBatch: number): CallTimes {
  const batches = Array.from({ length: maxBatch }, (_, i) => i + 1);
  if (table.batching === 'dynamic') {
    const sizes = sampled(load, table.column, table.typical);
    const batchMs = batches.map((batch) => average(sizes.map((size) => meanAt(table.call, batch, size))));
    const alone = sizes.map((size) => quantileAt(table.call, 1, size, 0.5)).sort((a, b) => a - b);
    return {
      aloneMs: table.overheadMs + (alone[alone.length >> 1] ?? 0),
      batchMs,
      workMs: batchMs.map((ms, i) => ms / (i + 1)),
      tokens: 0,
    };
  }
  const sizesIn = sampled(load, table.columnIn, table.typicalIn);
  const sizesOut = sampled(load, table.columnOut, table.typicalOut);
  const tokensIn = average(sizesIn);
  const more = average(sizesOut.map((tokens) => Math.max(0, tokens - 1)));
  const promptMs = average(sizesIn.map((size) => meanAt(table.prefill, 1, size)));
  // Long answers are in the cache for more steps: the context of a step is weighted by them.
  const squares = average(sizesOut.map((tokens) => Math.max(0, tokens - 1) ** 2));
  const context = tokensIn + (more > 0 ? squares / more / 2 : 0);
  const step = (batch: number) => stepAt(table.steps, batch, context);
  const median = [...sizesIn].sort((a, b) => a - b)[sizesIn.length >> 1] ?? table.typicalIn;
  return {
    aloneMs: table.overheadMs + quantileAt(table.prefill, 1, median, 0.5) + more * stepAt(table.steps, 1, median),
    // The other sequences' prompts are processed while it generates.
    batchMs: batches.map((batch) => promptMs * batch + more * step(batch)),
    workMs: batches.map((batch) => promptMs + (more * step(batch)) / batch),
    tokens: tokensIn + average(sizesOut),
  };
}
