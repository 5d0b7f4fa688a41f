import type { JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../pipelines/run/index.js';

export type Ended =
  | { readonly outcome: StageOutcome }
  | { readonly failure: { readonly code: string; readonly message: string; readonly details: JsonObject } };

/** Records the calls of a segment, so that it can be continued after a crash. */
export interface Journal {
  /** The recorded end of a call; undefined if it has not ended. */
  ended(call: StageCall): Ended | undefined;
  /** Another process had recorded ends before. Absent: none had. */
  readonly again?: boolean;
  /**
   * Records that an attempt begins and returns its number. Rejects with `JOURNAL_UNAVAILABLE`.
   * @param leftMs time that is left for all attempts of the call
   */
  begin(call: StageCall, leftMs: number): Promise<number>;
  /** Not awaited; the next `begin` waits for the write. */
  end(call: StageCall, ended: Ended): void;
  /**
   * An attempt has ended without a result. Not awaited.
   * @param waitedMs the attempt made no call, because the server is away, and does not count: total wait of the stage so far
   */
  left(call: StageCall, waitedMs?: number): void;
  /** How many workers in a row were lost during this call. */
  losses(call: StageCall): number;
  /**
   * Nothing of an attempt is sent until the function that it returns has resolved: a worker that is lost meanwhile was not lost by the
   * call. It rejects with `JOURNAL_UNAVAILABLE`.
   */
  rest?(call: StageCall): () => Promise<void>;
  /** Rejects with `JOURNAL_UNAVAILABLE` if another worker has taken the journal over. */
  held?(): Promise<void>;
  /** What is left of the time that the first attempt of this call had, in milliseconds; undefined: none has begun. */
  leftMs(call: StageCall): number | undefined;
}
