import { type Load, meanAt, quantileAt, type Table } from '../simulator/index.js';

/** Number of the load's requests whose sizes represent all. */
const SAMPLES = 64;

/** Sizes spread evenly over a column of the load; the typical size if the load lacks the column. */
function sampled(load: Load, column: string | undefined, typical: number): readonly number[] {
  const values = column === undefined ? undefined : load.sizes[column];
  if (!values || values.length === 0) return [typical];
  const step = Math.max(1, Math.floor(values.length / SAMPLES));
  return Array.from({ length: Math.min(SAMPLES, values.length) }, (_, i) => {
    const value = values[i * step] ?? Number.NaN;
    return Number.isNaN(value) ? typical : value;
  });
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
    };
  }
  const sizesIn = sampled(load, table.columnIn, table.typicalIn);
  const more = average(sampled(load, table.columnOut, table.typicalOut).map((tokens) => Math.max(0, tokens - 1)));
  const promptMs = average(sizesIn.map((size) => meanAt(table.prefill, 1, size)));
  const step = (batch: number) => table.stepMs[batch - 1] ?? 0;
  const median = [...sizesIn].sort((a, b) => a - b)[sizesIn.length >> 1] ?? table.typicalIn;
  return {
    aloneMs: table.overheadMs + quantileAt(table.prefill, 1, median, 0.5) + more * step(1),
    // The other sequences' prompts are processed while it generates.
    batchMs: batches.map((batch) => promptMs * batch + more * step(batch)),
    workMs: batches.map((batch) => promptMs + (more * step(batch)) / batch),
  };
}
