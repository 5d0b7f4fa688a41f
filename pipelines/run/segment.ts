import type { Json, JsonObject } from '../json.js';
import type { Binding } from '../plan/binding.js';
import type { Step } from '../plan/plan.js';
import type { TaskTime } from './run.js';
import type { RunContext } from './run-context.js';
import type { EntryRef } from './stage-call.js';
import type { StageRecord } from './stage-record.js';

/** Inline steps that run as one unit, with everything that they need. */
export interface Segment {
  /** Identifies it in the run: the path of its first step. */
  readonly path: string;
  /** Prefix of its steps' ids in paths: `chunks[3]/`. */
  readonly prefix: string;
  readonly steps: readonly Step[];
  /** Values of earlier steps that its steps read. */
  readonly scope: JsonObject;
  /** Entries of channels that its steps read, by source: the worker adds their values to `scope`. */
  readonly held?: Readonly<Record<string, EntryRef>>;
  /** Its steps whose values are read outside it; for the others only their end is reported. Absent: all. */
  readonly wanted?: readonly string[];
  /** The run's context without the plan's stages. */
  readonly context: RunContext;
  /** Milliseconds left of the run's deadline when the segment starts. */
  readonly leftMs: number;
  /** Milliseconds that its stages must leave for later ones, by id. */
  readonly reserved: Readonly<Record<string, number>>;
  /** Set if a fast host runs it: name of its journal. */
  readonly guarded?: string;
  /** Set if the segment is the whole run and a caller waits for the result. */
  readonly answer?: {
    readonly to: string;
    readonly output: Binding;
    /** The run's stage table, if it has stages that were not requested. */
    readonly table?: readonly StageRecord[];
  };
}

/** Second argument of a segment's activity; the first is the segment's scope. */
export interface SegmentCall extends TaskTime {
  readonly segment: Omit<Segment, 'scope'>;
  /** Another process may have started the segment. Absent: only an earlier attempt of this workflow task may have. */
  readonly begun?: true;
  /**
   * When its workflow task requested it, by Temporal's clock, in milliseconds since 1970. A task that has timed out has
   * an earlier value than the task that replaced it.
   */
  readonly askedAt: number;
}

/** Progress of a segment. Without any of the flags and without `failure`, all its steps have ended. */
export interface SegmentOutcome {
  /** What has ended, in `Memo`'s form. Empty with a `failure`, after which nothing continues. */
  readonly done: Json;
  /** The rows of its stages. */
  readonly rows: readonly StageRecord[];
  /** The journal cannot be written, or a server is away: the remaining steps run one by one. */
  readonly interrupted?: true;
  /** With `interrupted`: attempts of calls that have not succeeded, by `callName`; they count on queues as well. */
  readonly tried?: Readonly<Record<string, TriedCall>>;
  /** The run was cancelled; its workflow is about to be notified. */
  readonly ending?: true;
  /** Nothing was run: the fast host left the record. The workflow checks for an outcome, then takes the segment. */
  readonly left?: true;
  /**
   * The segment may have started but cannot continue here: the worker cannot reach the state store (`store`), or it is
   * shutting down, its workflow task has timed out, or the segment has run for as long as one local activity may (`worker`). The run waits; then any worker
   * may continue.
   */
  readonly away?: 'store' | 'worker';
  readonly failure?: { readonly code: string; readonly message: string; readonly details: JsonObject };
  /** With a `failure` because an entry is lost: its steps of which a call has ended, as its journal has it. Absent: none. */
  readonly ended?: readonly string[];
}

/** Attempts of a call, and its final failure, if any. */
export interface TriedCall {
  readonly begun: number;
  /** Time spent waiting for a server that is away, in milliseconds; it counts against the stage's patience. */
  readonly waitedMs?: number;
  readonly failure?: SegmentOutcome['failure'];
}
