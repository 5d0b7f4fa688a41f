import type { Json } from '../../pipelines/json.js';
import type { Graph, Scope, Step } from '../../pipelines/plan/index.js';
import type { RunContext } from '../../pipelines/run/index.js';
import type { Deadline } from './deadline.js';
import type { RunHost } from './host.js';
import type { Memo } from './memo.js';
import type { GraphValues } from './scope.js';
import type { StageTable } from './stage-table.js';

/** What all graphs of a run share. */
export interface Run {
  readonly context: RunContext;
  readonly table: StageTable;
  readonly deadline: Deadline;
  /** Of a run of which somebody waits for the result: where to, and the graph whose output it is. */
  readonly answer?: { readonly to: string; readonly graph: Graph };
  /** The history is full: loops stop, what is under way ends, and the run goes on in a new history. */
  continuing: boolean;
  /** How graphs and steps are run: control flow is made of them. */
  readonly graph: RunGraph;
  readonly step: RunStep;
}

export type RunGraph = (
  run: Run,
  graph: Graph,
  around: Scope | undefined,
  own: Readonly<Record<string, Json>>,
  at: At,
) => Promise<GraphValues | Stopped>;

export type RunStep = (
  run: Run,
  step: Step,
  scope: GraphValues,
  ended: ReadonlyMap<string, Promise<boolean>>,
  at: At,
) => Promise<boolean>;

/** Where a graph runs. */
export interface At {
  readonly host: RunHost;
  /** The items and rounds around it, as a prefix of its steps' paths: `chunks[3]/`. */
  readonly prefix: string;
  /** What of it has ended. */
  readonly memo: Memo;
  /** Whether a loop in it may stop for a new history. */
  readonly mayStop: boolean;
}

/** In place of a value: a loop has stopped for a new history. */
export const STOPPED = Symbol('stopped');
export type Stopped = typeof STOPPED;
