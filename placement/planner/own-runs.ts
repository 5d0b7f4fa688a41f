import type { Load, SimulatedStage } from '../simulator/index.js';
import { numberAt } from './number-at.js';
import { OncePerLoad } from './once-per-load.js';

/** What says how often runs call a stage; `calls`: absent, they come one by one. */
export type Calling = Pick<SimulatedStage, 'pipeline' | 'fanOut'> & { readonly calls?: number };

const known = new OncePerLoad<Int32Array>();

/** The runs of a pipeline, in order: a stage has calls of these alone, whatever else the load has. */
export const runsOf = (load: Load, pipeline: number): Int32Array =>
  known.get(load, [pipeline], () =>
    Int32Array.from(load.pipelines.keys()).filter((run) => load.pipelines[run] === pipeline),
  );

const byPipeline = new OncePerLoad<readonly RunsOf[]>();

/** The runs of one of several pipelines, in order. */
interface RunsOf {
  readonly pipeline: number;
  readonly runs: Int32Array;
}

/** The runs of each pipeline of a load of several; empty: all are of one. */
export const runsByPipeline = (load: Load): readonly RunsOf[] =>
  byPipeline.get(load, [], () => {
    const pipelines = [...new Set(load.pipelines)].sort((a, b) => a - b);
    return pipelines.length < 2 ? [] : pipelines.map((pipeline) => ({ pipeline, runs: runsOf(load, pipeline) }));
  });

/** The values of some runs. */
export const valuesOf = (values: Float64Array, runs: Int32Array): Float64Array =>
  Float64Array.from(runs, (run) => values[run] as number);

const lacking = new OncePerLoad<boolean>();

/** A typical number as a part of a cache key: undefined where each run of the pipeline states its own, so that the typical one does not matter. */
export function typicalFor(
  load: Load,
  pipeline: number,
  column: string | undefined,
  typical: number,
): number | undefined {
  const values = column === undefined ? undefined : load.sizes[column];
  if (values === undefined) return typical;
  const isLacked = lacking.get(load, [pipeline, column], () => {
    const runs = runsOf(load, pipeline);
    return runs.length === 0 || runs.some((run) => Number.isNaN(values[run] ?? Number.NaN));
  });
  return isLacked ? typical : undefined;
}

/** By run, how many calls of a stage count for it: those of its column, else one for each run. Absent: one. */
export const callsAt = (load: Load, { fanOut }: Calling): ((run: number) => number) | undefined =>
  fanOut?.column === undefined ? undefined : numberAt(load, fanOut.column, fanOut.mean);

/** The part of a cache key that says which runs a stage has calls of, and how many. */
export const keyOf = ({ pipeline, fanOut }: Calling): readonly (string | number)[] =>
  fanOut?.column === undefined ? [pipeline] : [pipeline, fanOut.column, fanOut.mean];
