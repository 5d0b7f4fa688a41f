import type { Json } from '../../pipelines/json.js';
import type { Graph, Scope, Step } from '../../pipelines/plan/index.js';
import type { EntryRef, RunContext } from '../../pipelines/run/index.js';
import type { Deadline } from './deadline.js';
import type { RunHost } from './host.js';
import type { Memo } from './memo.js';
import type { GraphValues } from './scope.js';
import type { StageTable } from './stage-table.js';

/** State shared by all graphs of a run. */
export interface Run {
  readonly context: RunContext;
  readonly table: StageTable;
  readonly deadline: Deadline;
  /** Set if a caller waits for the result: its address, and the graph whose output it is. */
  readonly answer?: { readonly to: string; readonly graph: Graph };
  /** The history is full: loops stop, calls in progress end, and the run continues in a new history. */
  continuing: boolean;
  /** It has stopped for a new history that could not begin with what it has, and goes on in this one until that must not grow much more. */
  stays?: true;
  /** How control flow runs its graphs and steps. */
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
  /** Enclosing items and rounds, as a prefix of its steps' paths: `chunks[3]/`. */
  readonly prefix: string;
  /** What has ended in it. */
  readonly memo: Memo;
  /** Whether a loop in it may stop for a new history. */
  readonly mayStop: boolean;
  /** The race around it, whose loops do not stop for a new history. */
  readonly race?: string;
  /** The steps of the graph whose streams are read while they run: when each has begun. */
  readonly begun?: ReadonlyMap<string, Begun> | undefined;
  /** Streams of the graph may stop for a new history: what reads one then stops too. */
  readonly streamsStop?: boolean;
  /** The `each` steps of the graph that read and write streams themselves. Absent: none. */
  readonly eaches?: ReadonlySet<string> | undefined;
  /** Items of loops around it that are entries of channels: the scope has no values of them. By source. */
  readonly entries?: ReadonlyMap<string, EntryRef>;
  /** Of a step that reads streams: what makes them. */
  readonly sources?: Sources;
  /** The step reads its streams from channels. Absent: their collected values. */
  readonly reads?: true;
  /** The step has started with streams, which were lost: it runs again with their collected values. */
  readonly lost?: true;
}

/** The steps whose streams a step reads. */
export interface Sources {
  /** Whether all of them have ended. */
  over(): boolean;
  /** Calls `halt` when one of them has stopped for a new history: its stream does not go on in this one. */
  onStop(halt: () => void): void;
}

/** Whether a step has begun; false if it stopped before. */
export interface Begun {
  readonly promise: Promise<boolean>;
  readonly begin: (began: boolean) => void;
}

/** Returned instead of a value: a loop stopped for a new history. */
export const STOPPED = Symbol('stopped');
export type Stopped = typeof STOPPED;
