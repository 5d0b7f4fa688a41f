import {
  callsIn,
  type DynamicTable,
  isTaken,
  type Load,
  leastTimeAt,
  type SimulatedStage,
  type Table,
} from '../simulator/index.js';
import { type StageDemand, together } from './density.js';
import { sequenceOf } from './sequence-times.js';

/** A way to serve a stage's calls: a kind, and batches of some sizes. */
export interface Option {
  readonly kind: number;
  /** Least time of a run there. */
  readonly ms: number;
  /** By run: least time of devices for all its calls of the stage; infinite: no such batch can be in time. */
  readonly work: Float64Array;
}

/** Time that a run may spend at a stage. */
export interface Slack {
  /** At the stage itself. */
  readonly ownMs: number;
  /** Between when the first member of a batch of the pool can be there and when the last one must go on, at the most. */
  readonly poolMs: number;
}

/** The smallest size of a call of the load that a table's time depends on. */
export function smallestOf({ sizes }: Load, { column, typical }: DynamicTable): number {
  const known = column === undefined ? undefined : sizes[column];
  return known ? known.reduce((least, size) => (Number.isNaN(size) ? least : Math.min(least, size)), typical) : typical;
}

/** Batch sizes to distinguish: all small ones, then by steps of about a third. */
export function gridOf(most: number): readonly number[] {
  const grid: number[] = [];
  for (let b = 1; b <= most; b = b < 4 ? b + 1 : Math.floor(b * 1.5)) grid.push(b);
  return grid;
}

/** Which runs need a stage's pool at least once: by the simulator's own draws. */
export function stageDemand(load: Load, stages: readonly SimulatedStage[], v: number, seed: number): StageDemand {
  const stage = stages[v] as SimulatedStage;
  const runs = Int32Array.from(
    Array.from(load.pipelines, (p, i) => (p === stage.pipeline ? i : -1)).filter((i) => i >= 0),
  );
  const needed = new Uint8Array(load.timesMs.length);
  const calls = new Uint16Array(load.timesMs.length);
  for (const run of runs) {
    // A cache may answer any call, and a stream is read while it is made: such a stage counts for nothing.
    if (stage.cacheHitRate > 0 || stage.streamFrom !== undefined) continue;
    const count = isTaken(stage, seed, run * stages.length + v) ? callsIn(stage, load, seed, run) : 0;
    calls[run] = count;
    if (count > 0) needed[run] = 1;
  }
  const sharing = stages.filter(({ pool }) => pool === stage.pool);
  const mates = sharing.length === 1 ? runs : matesOf(load, sharing);
  return { runs, needed, calls, mates, callsEach: Math.max(...sharing.map((each) => each.calls)) };
}

/** The runs that call some of these stages, in order: each once for each stage. */
function matesOf({ pipelines }: Load, stages: readonly SimulatedStage[]): Int32Array {
  const times = new Map<number, number>();
  for (const { pipeline } of stages) times.set(pipeline, (times.get(pipeline) ?? 0) + 1);
  const mates: number[] = [];
  for (const [run, pipeline] of pipelines.entries()) {
    for (let i = times.get(pipeline) ?? 0; i > 0; i -= 1) mates.push(run);
  }
  return Int32Array.from(mates);
}

/**
 * The options of a stage on a kind. Only what every schedule must spend counts:
 *
 * - A batch takes at least the shortest time of its table for its size and its own members' sizes.
 * - All members of a batch that are in time arrive within a window: the batch begins after the last of them can be there,
 *   and ends before the first of them must go on. So a batch has at most as many members in time as arrive in a window of
 *   `slack.poolMs` less the batch's time. Late members have no part in it: those in time bear the whole batch. Members may be of
 *   any stage of the pool, of any pipeline.
 *
 * @param grid the least batch sizes that are told apart: that of 1 alone has the least time of all
 */
export function optionsOf(
  load: Load,
  demand: StageDemand,
  kind: number,
  table: Table,
  maxBatch: number,
  width: number,
  slack: Slack,
  grid = gridOf(maxBatch),
): readonly Option[] {
  const count = load.timesMs.length;
  const { runs, needed, calls } = demand;
  const { ownMs, poolMs } = slack;
  if (runs.every((run) => needed[run] === 0)) return [{ kind, ms: 0, work: new Float64Array(count) }];
  if (table.batching === 'continuous') {
    const { ms, work } = sequenceOf(load, demand, table, maxBatch, poolMs);
    for (let i = 0; i < count; i += 1) work[i] = (work[i] as number) * (calls[i] as number) * width;
    return ms <= ownMs ? [{ kind, ms, work }] : [];
  }
  const sizes = table.column === undefined ? undefined : load.sizes[table.column];
  const smallest = smallestOf(load, table);
  // A larger batch is not faster: else the shortest of the larger ones counts.
  const known = new Map<number, number>();
  const least = (b: number, size: number) => {
    const key = b + size * 8_192;
    const ms = known.get(key) ?? leastTimeAt(table.call, b, maxBatch, size);
    known.set(key, ms);
    return ms;
  };
  return grid.flatMap((b, g): Option[] => {
    const ms = least(b, smallest);
    if (ms > ownMs) return [];
    const upTo = (grid[g + 1] ?? maxBatch + 1) - 1;
    const calledTogether = together(load.timesMs, demand, poolMs - ms, upTo);
    const work = new Float64Array(count);
    let any = false;
    for (let i = 0; i < runs.length; i += 1) {
      const run = runs[i] as number;
      if (needed[run] === 0) continue;
      const members = calledTogether[i] as number;
      const size = sizes?.[run];
      const own = size === undefined || Number.isNaN(size) ? ms : least(b, size);
      const isInTime = members >= b && own <= ownMs;
      work[run] = isInTime
        ? ((calls[run] as number) * width * own) / Math.min(members, upTo)
        : Number.POSITIVE_INFINITY;
      any ||= isInTime;
    }
    return any ? [{ kind, ms: table.overheadMs + ms, work }] : [];
  });
}

/** The options of a kind without those that another is at least as good as for every run, in time and in work. */
export function undominated(options: readonly Option[]): readonly Option[] {
  const isWorse = (a: Option, b: Option) =>
    b.ms <= a.ms && a.work.every((work, run) => (b.work[run] as number) <= work);
  return options.filter((a, i) => !options.some((b, j) => j !== i && isWorse(a, b) && (j < i || !isWorse(b, a))));
}
