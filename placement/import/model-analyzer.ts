import type { ProfileFile } from '../profiles/index.js';
import { dynamicProfiles } from './dynamic-profiles.js';
import { optional, positive, type ProfileImport, type Times } from './measurements.js';
import { rowsOf, type TableRow } from './table.js';

/** The results of Triton's Model Analyzer as CSV. */
export const modelAnalyzer = (lines: readonly string[], file: string, options: ProfileImport): ProfileFile[] =>
  dynamicProfiles(
    Array.from(rowsOf(lines, file, 'INVALID_PROFILE'), (row) => ({
      model: row.cells.Model ?? options.model ?? '',
      device: row.cells.GPU ?? options.deviceKind ?? '',
      // The largest batch that the configuration allows, as the run filled it: concurrency at batch 1.
      batch: filledBatch(row),
      ...latencies(row),
    })),
    options,
  );

/** Model Analyzer's runs fill a batch by their concurrency, up to the configuration's largest. */
function filledBatch(row: TableRow): number {
  const { cells } = row;
  const largest = Number(/\d+/.exec(cells['Max Batch Size'] ?? '')?.[0] ?? 1);
  const concurrency = cells.Concurrency === undefined ? 1 : positive(row, 'Concurrency');
  return Math.max(1, Number(cells.Batch ?? 1) * Math.min(concurrency, largest));
}

function latencies(row: TableRow): Times {
  const columns = Object.keys(row.cells);
  const named = (name: RegExp) => columns.find((column) => name.test(column));
  const of = (name: RegExp) => row.cells[named(name) ?? ''];
  const p50 = named(/p50 latency/i) ?? named(/avg latency/i) ?? named(/p90 latency/i) ?? 'p50 latency';
  return {
    p50Ms: positive(row, p50),
    ...optional('p95Ms', of(/p95 latency/i)),
    ...optional('p99Ms', of(/p99 latency/i)),
    ...optional('meanMs', of(/avg latency/i)),
  };
}
