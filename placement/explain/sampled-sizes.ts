import type { PlacementDocument } from '../document/index.js';
import type { PlannerInput, Problem } from '../planner/index.js';
import { CACHED_COLUMN, isCachedColumn } from '../simulator/index.js';

/** Most runs of a pipeline whose sizes a placement keeps. One of so many is far less than the 1 % that a 99th percentile lets be late. */
const SAMPLED = 256;

/**
 * The sizes of runs that the placement was made for, for `replan`, which has no trace: by pipeline and column, of up to 256 runs. Only
 * columns that its stages and profiles read.
 */
export function sampledSizes(
  { load, stages, pools }: Problem,
  pipelines: PlannerInput['pipelines'],
): Pick<PlacementDocument, 'sizes'> {
  const uses = pools.flatMap(({ configs }) => configs.flatMap((config) => config.uses));
  const tables = uses.flatMap((use) => use?.tables ?? []);
  const isRead = (column: string): boolean =>
    stages.some(({ fanOut }) => fanOut?.column === column) ||
    tables.some((table) => {
      if (table?.batching !== 'continuous') return table?.column === column;
      const { columnIn, columnOut, columnCached = CACHED_COLUMN } = table;
      return column === columnIn || column === columnOut || isCachedColumn(column, columnCached);
    });
  const read = Object.entries(load.sizes).filter(([column]) => isRead(column));
  const sizes = pipelines.flatMap(({ name }, p) => {
    const runs = Array.from(load.timesMs, (_, run) => run).filter((run) => load.pipelines[run] === p);
    const own = read.filter(([, values]) => runs.every((run) => !Number.isNaN(values[run])));
    if (runs.length === 0 || own.length === 0) return [];
    const kept = sampleOf(
      runs,
      own.map(([, values]) => values),
    );
    return [[name, Object.fromEntries(own.map(([column, values]) => [column, at(values, kept)]))] as const];
  });
  return sizes.length > 0 ? { sizes: Object.fromEntries(sizes) } : {};
}

const at = (values: Float64Array, runs: readonly number[]): number[] => runs.map((run) => values[run] as number);

/** All of the runs if they are few, one of them if all have the same sizes, else those that represent them. */
function sampleOf(runs: readonly number[], columns: readonly Float64Array[]): readonly number[] {
  const [first = 0] = runs;
  if (columns.every((values) => runs.every((run) => values[run] === values[first]))) return [first];
  // As multiples of their means, columns in different units can be compared.
  const scaled = columns.map((values) => {
    const mean = meanOf(values, runs) || 1;
    return values.map((value) => value / mean);
  });
  return runs.length <= SAMPLED ? runs : representatives(runs, scaled, SAMPLED);
}

/**
 * So many of the runs, a power of two. The runs are halved again and again, at the median of the column that varies most in each part, and the
 * run that is nearest to the mean of its part is chosen. All parts have about as many runs, so that the chosen ones have about the mean and the
 * tail of each column, and sizes that go together stay together. What less than half of a part has may be missing.
 */
function representatives(runs: readonly number[], columns: readonly Float64Array[], count: number): readonly number[] {
  const means = columns.map((values) => meanOf(values, runs));
  const squared = (run: number, c: number) => ((columns[c]?.[run] ?? 0) - (means[c] ?? 0)) ** 2;
  if (count === 1) {
    const distance = (run: number) => means.reduce((sum, _, c) => sum + squared(run, c), 0);
    return [runs.reduce((nearest, run) => (distance(run) < distance(nearest) ? run : nearest))];
  }
  const spread = (c: number) => runs.reduce((sum, run) => sum + squared(run, c), 0);
  const spreads = columns.map((_, c) => spread(c));
  const widest = columns[spreads.indexOf(Math.max(...spreads))];
  const sorted = [...runs].sort((a, b) => (widest?.[a] ?? 0) - (widest?.[b] ?? 0));
  const middle = Math.floor(sorted.length / 2);
  return [sorted.slice(0, middle), sorted.slice(middle)].flatMap((half) => representatives(half, columns, count / 2));
}

const meanOf = (values: Float64Array, runs: readonly number[]): number =>
  runs.reduce((sum, run) => sum + (values[run] as number), 0) / runs.length;
