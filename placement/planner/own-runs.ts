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
