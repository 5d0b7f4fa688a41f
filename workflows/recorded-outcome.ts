import { ActivityFailure, RetryState, TimeoutFailure } from '@temporalio/common';
import { isCancellation, proxyLocalActivities } from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import type { RecordedCall, StageCall, StageOutcome } from '../pipelines/run/index.js';
import { takes } from './changes.js';
import { notBegun } from './elsewhere.js';

type Recorded = (input: JsonObject, call: RecordedCall) => Promise<StageOutcome | null>;

/**
 * The question is repeated while the state store is away: for about half a minute, as an attempt repeats it, or for three seconds where the
 * stage's time is over.
 */
const QUESTION = { startToCloseTimeout: 10_000, retry: { initialInterval: 200, maximumInterval: 2_000 } };
const MOST_QUESTIONS = { inTime: 18, late: 5 };
/** For all questions, in milliseconds: the artifact store, which has large outcomes, may hang. */
const LONGEST_MS = { inTime: 40_000, late: 6_000 };

interface Asked {
  readonly call: StageCall;
  readonly input: JsonObject;
  /** When the call was first scheduled, in milliseconds since 1970. */
  readonly since: number;
  /** Runs a local activity; its result arrives after the effects of those that ended before it. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * Handles the failure of a stage. Where Temporal has not heard of an attempt, that may have ended and recorded how: the record of the run is
 * asked before the failure counts, since no attempt may be left, or no worker to make one.
 * @param failureOf what the stage fails with if nothing is recorded
 */
export function orRecorded(
  asked: Asked,
  failureOf: (error: unknown) => Error,
): (error: unknown) => Promise<StageOutcome> {
  return (error) => {
    if (isCancellation(error)) throw error;
    if (!mayBeRecorded(error, asked.call)) throw failureOf(error);
    return recordedOutcome(asked, isOver(error)).then((outcome) => {
      if (outcome) return outcome;
      throw failureOf(error);
    });
  };
}

/** Whether an attempt of the call may have recorded an outcome that Temporal does not have. */
export function mayBeRecorded(error: unknown, { record, held }: Pick<StageCall, 'record' | 'held'>): boolean {
  const timeout = timeoutOf(error);
  if (timeout === undefined || record === 'off' || held) return false;
  if (timeout.timeoutType === 'SCHEDULE_TO_START' && notBegun(timeout)?.lost !== true) return false;
  return takes('recorded-outcomes-are-taken');
}

function timeoutOf(error: unknown): TimeoutFailure | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof TimeoutFailure ? cause : undefined;
}

/** Whether the stage's time is over, also where Temporal says how its last attempt has ended. */
function isOver(error: unknown): boolean {
  const type = timeoutOf(error)?.timeoutType;
  const ended = error instanceof ActivityFailure && error.retryState === RetryState.TIMEOUT;
  return type === 'SCHEDULE_TO_CLOSE' || (ended && type !== 'SCHEDULE_TO_START');
}

/** Undefined if none is recorded, or the store does not say so. Rejects with a cancellation. */
async function recordedOutcome(
  { call, input, since, inTurn }: Asked,
  isLate: boolean,
): Promise<StageOutcome | undefined> {
  const { stage, path = stage } = call;
  const maximumAttempts = isLate ? MOST_QUESTIONS.late : MOST_QUESTIONS.inTime;
  const activities = proxyLocalActivities<Record<string, Recorded>>({
    ...QUESTION,
    scheduleToCloseTimeout: isLate ? LONGEST_MS.late : LONGEST_MS.inTime,
    retry: { ...QUESTION.retry, maximumAttempts },
    summary: `${path} · record`,
  });
  const ask = activities[stage] as Recorded;
  try {
    return (await inTurn(() => ask(input, { recorded: { call, since } }))) ?? undefined;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return undefined;
  }
}
