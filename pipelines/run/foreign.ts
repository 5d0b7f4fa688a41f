import type { Json, JsonObject } from '../json.js';
import type { Priority } from '../plan/plan.js';
import type { TaskTime } from './run.js';
import type { RunContext } from './run-context.js';
import type { StageCall } from './stage-call.js';
import type { StageOutcome } from './stage-outcome.js';

/* What passes between a run and Millrace's worker for calls of other workers, and for runs that others start. */

/**
 * Second argument of the local activities around a call of another worker of Temporal; the first is the stage's input.
 * Without `ended` the call is about to be made, else it has ended.
 */
export interface ForeignCall extends TaskTime {
  readonly foreign: {
    readonly call: StageCall;
    readonly ended?: ForeignEnd;
  };
}

/** How a call of another worker has ended: its result as it is, or its failure by the error table. */
export type ForeignEnd = {
  /** When it was scheduled, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Time from then to its end. */
  readonly runMs: number;
} & ({ readonly result: Json } | { readonly failure: { readonly code: string; readonly message: string } });

/** Longest part of a path in an activity's id, in characters; Temporal accepts ids of 1,000. */
const LONGEST_PATH = 900;

/** Id of the activity of a call of another worker. */
export const foreignActivityId = (path: string, number: number): string => `${path.slice(0, LONGEST_PATH)}#${number}`;

/** The stage of an activity with such an id; undefined for other ids. */
export const stageOfForeign = (activityId: string): string | undefined =>
  /^(?:.*\]\/)?([^#]*)#\d+$/.exec(activityId)?.[1];

/** What precedes a call: its outcome in the run that this one resumes, or the input where defaults complete it. */
export type ForeignStart = { readonly outcome: StageOutcome } | { readonly input?: JsonObject };

/** The outcome of a call of another worker. The output is absent where it is the result, or a part of it, as it is. */
export type ForeignOutcome = Omit<StageOutcome, 'output'> & { readonly output?: Json };

/** Version of the options that other clients and workflows start runs with. */
export const START_OPTIONS_VERSION = 1;

/** Second argument of a run that is not started by a gateway; the first is the pipeline's input. All but `millrace` is optional. */
export interface StartOptions {
  readonly millrace: typeof START_OPTIONS_VERSION;
  /** Owner of the run. Default `default`. */
  readonly tenant?: string;
  readonly priority?: Priority;
  /** Output fields that are needed; stages needed only by other fields are skipped. */
  readonly outputs?: readonly string[];
  /** Shortens the pipeline's deadline, in milliseconds. */
  readonly deadlineMs?: number;
}

/** Second argument of the local activity that prepares such a run, with the arguments of its workflow. */
export interface StartCall extends TaskTime {
  readonly start: {
    readonly pipeline: string;
    readonly input: Json;
    readonly options: Json;
    /** The same in every attempt of the run, and after a reset; another one in each other run under its id. */
    readonly chain: string;
  };
}

/** What it returns: what a gateway gives to the workflow of a run, and its memo. */
export interface PreparedStart {
  readonly input: JsonObject;
  readonly context: RunContext;
  readonly memo: JsonObject;
}
