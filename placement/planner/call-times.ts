import { type Load, meanAt, quantileAt, type Table } from '../simulator/index.js';

/** Requests of the load whose sizes stand for all. */
const SAMPLES = 64;

/** Sizes spread evenly over a column of the load; the typical one where the load lacks it. */
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

/** What a call of a stage takes, in milliseconds. */
export interface CallTimes {
  /** Least that a call alone takes: the median on an idle device, for the median of the load. */
  readonly aloneMs: number;
  /** Mean time of a batch by its size, from 1; of sequences the time of one when as many run. */
  readonly batchMs: readonly number[];
  /** Time of a replica that one call of a batch of this size takes. */
  readonly workMs: readonly number[];
}

/** Times of the calls of a load at one table, up to a largest batch. */
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
    // The others' prompts are read while it writes.
    batchMs: batches.map((batch) => promptMs * batch + more * step(batch)),
    workMs: batches.map((batch) => promptMs + (more * step(batch)) / batch),
  };
}
