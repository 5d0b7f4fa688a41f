import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';
import type { Moment } from '../../runtime/moment.js';

/** How a call has ended, as reported by its host. */
export interface EndedCall {
  /** The run's id; of a child run `<run>/<path>`. */
  readonly run: string;
  readonly call: StageCall;
  readonly input: JsonObject;
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** When it began in this process. Absent: as long before now as it took. */
  readonly begunAt?: Moment;
  /** When its attempt ends at the latest, on the clock of `performance.now()`. Absent: unknown. */
  readonly endsAt?: number | undefined;
  readonly result: { readonly outcome: StageOutcome } | { readonly failure: Failure };
}

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** How a call ended in the run that is resumed; the resumed run takes the same outcome. */
export type KeptEnd = { readonly outcome: StageOutcome } | { readonly failure: Failure };

/**
 * Run records: the input and result of each call, written as it ends. A failed run is resumed from them without
 * repeating calls that have ended.
 */
export interface RunRecords {
  /**
   * Records the end of a call. Never rejects and never waits for long, nor for the artifact store beyond half of what its attempt
   * has left: a call that cannot be recorded is a gap, which the record counts.
   */
  keep(ended: EndedCall): Promise<void>;
  /**
   * How a call ended in the run that this one resumes, or in one before it; undefined if it did not end there, or the run is not a
   * resumption. Throws `RESUME_DIVERGED` if the stage ended there in another way, or if the call succeeded with another
   * input and must not be repeated, and `RECORD_GONE` if a record is not the one that the resumption was based on, or lacks the outcome; and
   * `STORE_UNAVAILABLE`. With `recorded` in its details where the call is known to have ended.
   * @param withinMs how long the artifact store is waited for at most, in milliseconds; eight seconds in any case
   */
  before(run: string, call: StageCall, input: JsonObject, withinMs?: number): Promise<KeptEnd | undefined>;
  /**
   * The outcome of the same call of the same run, with the same input, as an attempt has recorded it that could not report it. Undefined
   * if there is none. Throws `STORE_UNAVAILABLE`, and `RECORD_GONE` if there is one that is lost; with `recorded` in its details where the call
   * is known to have ended. Absent: none is known.
   * @param since when the call was scheduled, in milliseconds since 1970: an earlier end is that of another run which had the id
   * @param unread returned instead of an outcome that the artifact store has, which is then not read
   * @param withinMs as of `before`
   */
  earlier?<T = never>(
    run: string,
    call: StageCall,
    input: JsonObject,
    since: number,
    unread?: T,
    withinMs?: number,
  ): Promise<StageOutcome | T | undefined>;
}

/** Summary of an ended run's record, for deciding on a resumption. */
export interface RecordSummary {
  /** Number of calls that have succeeded, by stage id, without those of child runs. */
  readonly succeeded: ReadonlyMap<string, number>;
  /**
   * Of agents, by stage id: how many of their calls have succeeded, of the model by turn (`3`) and of tools by turn and name (`3/refund`). Absent: none.
   */
  readonly turns?: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Number of calls that could not be recorded. */
  readonly gaps: number;
  /** There is no record: nothing was recorded, or it has expired, or the store has lost it. */
  readonly absent?: true;
  /** It has been erased since the run began: the run itself is about to be gone. */
  readonly erased?: true;
  /** The run that resumed it has been erased: what that had done is not known. */
  readonly forgotten?: true;
}

/** What a resumed run is given about the previous one, besides its calls. */
export interface Before {
  /** Ids of the stages that had ended: their outcomes stay, failures included. */
  readonly ended: readonly string[];
  /** Calls of these stages that the record lacks may be repeated. */
  readonly repeat: boolean;
}

/** The part of the records that resuming needs. */
export interface ResumableRecords {
  /** How long a record is kept after the end of its run, in milliseconds. Absent: for ever. */
  readonly keptMs?: number;
  /**
   * Throws `STORE_UNAVAILABLE`.
   * @param ageMs how long ago the run began, in milliseconds: what was erased before was the record of another run with its id
   * @param read called with the bytes of the record that has been read
   */
  summary(run: string, ageMs: number, read?: (bytes: number) => void): Promise<RecordSummary>;
  /**
   * Removes the record of a run, with the calls of its child runs, and keeps for six hours that it is erased: calls that began before are not
   * recorded. Runs that resume it have records of their own; that of the run which it resumes says from now on that it is `forgotten`. Throws
   * `STORE_UNAVAILABLE`.
   */
  erase?(run: string): Promise<void>;
  /**
   * Marks the record as in use by the run that resumes from it, and keeps it for longer than that run's own record. Throws `STORE_UNAVAILABLE`.
   * @param runMs maximum duration of the run that resumes from it, in milliseconds
   * @param ageMs as of `summary`
   * @returns false, and it is not marked, if it has been erased since the run began
   */
  hold(run: string, before: Before, runMs: number, ageMs: number): Promise<boolean>;
  /**
   * Keeps the records of the runs that this one resumes for as long: what it has not come to is only there. Throws `STORE_UNAVAILABLE`.
   * @param runMs as of `hold`
   * @returns the runs whose records are gone
   */
  holdEarlier(run: string, runMs: number): Promise<readonly string[]>;
}
