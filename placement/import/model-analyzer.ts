import type { ProfileFile } from '../profiles/index.js';
import { dynamicProfiles } from './dynamic-profiles.js';
import { deviceOf, modelOf, optional, type ProfileImport, positive, type Times } from './measurements.js';
import { rowsOf, type TableRow } from './table.js';
import { wrong } from './wrong.js';

/** Columns that may stand for the median, the best first; the last one is all that Model Analyzer writes unless it is told to. */
const MEDIANS: readonly { readonly named: RegExp; readonly percentile?: number }[] = [
  { named: /p50 latency/i },
  { named: /avg latency/i },
  { named: /p90 latency/i, percentile: 90 },
  { named: /p95 latency/i, percentile: 95 },
  { named: /p99 latency/i, percentile: 99 },
];

/**
 * The results of Triton's Model Analyzer as CSV. Of several runs with a batch the one with the least concurrency counts: in the others calls
 * also wait in the queue. Runs of several instances are left out: a replica is one, and has a part of their calls.
 */
export function modelAnalyzer(lines: readonly string[], file: string, options: ProfileImport): ProfileFile[] {
  const rows = Array.from(rowsOf(lines, file, 'INVALID_PROFILE'), (row) => ({ row, atOnce: concurrencyOf(row) }));
  const [first] = rows;
  if (first === undefined) return [];
  const median = medianOf(Object.keys(first.row.cells), file);
  const alone = rows.filter(({ row }) => instancesOf(row) === 1);
  if (alone.length === 0) throw wrong(file, SEVERAL_INSTANCES, 'INVALID_PROFILE');
  const measured = alone
    .sort((a, b) => a.atOnce - b.atOnce)
    .map(({ row, atOnce }) => ({
      model: modelOf(row.at, row.cells.Model, options),
      device: deviceOf(row.cells.GPU, options),
      batch: filledBatch(row, atOnce),
      ...latencies(row, median.column),
    }));
  return dynamicProfiles(measured, options).map((profile) => ({
    ...profile,
    ...(median.percentile !== undefined && { note: standsForMedian(median.percentile) }),
  }));
}

function medianOf(columns: readonly string[], file: string) {
  for (const { named, percentile } of MEDIANS) {
    const column = columns.find((each) => named.test(each));
    if (column !== undefined) return { column, percentile };
  }
  const message =
    'no column has a latency: let Model Analyzer write one, as with perf_latency_avg among its inference_output_fields';
  throw wrong(file, message, 'INVALID_PROFILE');
}

const standsForMedian = (percentile: number): string =>
  `its measurements have no median, for which their ${percentile}th percentile stands: most calls are shorter than planned`;

const SEVERAL_INSTANCES =
  'all of its runs have several instances of the model, and a replica is one: profile configurations with one instance too';

/** Instances of the model, such as 3 of `2:GPU + 1:CPU`; of an ensemble, of the one of its models that has most. 1: the file does not say. */
function instancesOf({ cells }: TableRow): number {
  const counts = (cells['Instance Group'] ?? '')
    .split(',')
    .map((of) => [...of.matchAll(/(\d+)\s*[:/]/g)].reduce((sum, [, count]) => sum + Number(count), 0));
  return Math.max(1, ...counts);
}

const concurrencyOf = (row: TableRow): number =>
  row.cells.Concurrency === undefined ? 1 : positive(row, 'Concurrency');

/** A run fills a batch by its concurrency, up to as many whole calls of the client as the largest batch of the configuration holds. */
function filledBatch(row: TableRow, atOnce: number): number {
  const largest = Number(/\d+/.exec(row.cells['Max Batch Size'] ?? '')?.[0] ?? 1);
  const own = row.cells.Batch === undefined ? 1 : positive(row, 'Batch');
  return own * Math.max(1, Math.min(atOnce, Math.floor(largest / own)));
}

function latencies(row: TableRow, median: string): Times {
  const of = (named: RegExp) => Object.entries(row.cells).find(([column]) => named.test(column))?.[1];
  return {
    p50Ms: positive(row, median),
    ...optional('p95Ms', of(/p95 latency/i)),
    ...optional('p99Ms', of(/p99 latency/i)),
    ...optional('meanMs', of(/avg latency/i)),
  };
}
