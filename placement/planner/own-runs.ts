import type { Load, SimulatedStage } from '../simulator/index.js';
import { numberAt } from './number-at.js';
import { OncePerLoad } from './once-per-load.js';

/** What says how often runs call a stage. */
export type Calling = Pick<SimulatedStage, 'pipeline' | 'fanOut'>;

const known = new OncePerLoad<Int32Array>();

/** The runs of a pipeline, in order: a stage has calls of these alone, whatever else the load has. */
export const runsOf = (load: Load, pipeline: number): Int32Array =>
  known.get(load, [pipeline], () =>
    Int32Array.from(load.pipelines.keys()).filter((run) => load.pipelines[run] === pipeline),
  );

/** By run, how many calls of a stage count for it: those of its column, else one for each run. Absent: one. */
export const callsAt = (load: Load, { fanOut }: Calling): ((run: number) => number) | undefined =>
  fanOut?.column === undefined ? undefined : numberAt(load, fanOut.column, fanOut.mean);

/** What tells stages apart whose calls are of different runs, or count differently. */
export const keyOf = ({ pipeline, fanOut }: Calling): readonly (string | number)[] =>
  fanOut?.column === undefined ? [pipeline] : [pipeline, fanOut.column, fanOut.mean];
