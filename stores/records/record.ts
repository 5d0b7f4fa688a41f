import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';

/** How a call has ended, as a host knows it. */
export interface EndedCall {
  /** The run's id; of a child run `<run>/<path>`. */
  readonly run: string;
  readonly call: StageCall;
  readonly input: JsonObject;
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly result: { readonly outcome: StageOutcome } | { readonly failure: Failure };
}

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** What a resumed run finds of a call in the record of the run before: how it ended there, and that is how it ends here. */
export type KeptEnd = { readonly outcome: StageOutcome } | { readonly failure: Failure };

/**
 * The record of runs: what each call was given and what it gave, written as it ends. A run that has failed is resumed from it,
 * so that nothing that has ended happens again.
 */
export interface RunRecords {
  /** Keeps how a call has ended. Never rejects and never waits for long: what cannot be kept is a gap, which the record says. */
  keep(ended: EndedCall): Promise<void>;
  /**
   * How a call ended in the run that this one resumes; undefined where it did not, or where the run resumes none. Throws
   * `RESUME_DIVERGED` where the stage has ended there in another way, or the call has succeeded with another input and must
   * not be repeated, and `RECORD_GONE` where the record is not the one that the resumption has seen.
   */
  before(run: string, call: StageCall, input: JsonObject): Promise<KeptEnd | undefined>;
}

/** What the record of an ended run holds, for who wants to resume it. */
export interface RecordSummary {
  /** How many calls have succeeded, by the id of their stage. Those of child runs do not count. */
  readonly succeeded: ReadonlyMap<string, number>;
  /** Calls that could not be kept. */
  readonly gaps: number;
}

/** What the run that goes on is told of the one before, beside its calls. */
export interface Before {
  /** Ids of the stages that were over for good: what they have come to stays, failures included. */
  readonly ended: readonly string[];
  /** Calls of these that the record lacks may be made again. */
  readonly repeat: boolean;
}

/** The resumption's side. */
export interface ResumableRecords {
  summary(run: string): Promise<RecordSummary>;
  /** Keeps the record for at least `leastMs` milliseconds more, for the run that goes on from it, and marks it as seen. */
  hold(run: string, before: Before, leastMs: number): Promise<void>;
}
