import { ActivityFailure, ApplicationFailure, RetryState, TimeoutFailure } from '@temporalio/common';
import { isCancellation, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { JsonObject } from '../pipelines/json.js';
import { queueOrder } from '../pipelines/plan/index.js';
import {
  ENTRY_KIND,
  type LargeOutcome,
  type RecordedCall,
  type StageCall,
  type StageOutcome,
} from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { changesElsewhere } from '../pipelines/stages/traits.js';
import { taskTime } from './activity-options.js';
import { takes } from './changes.js';
import { notBegun } from './elsewhere.js';
import type { Begin } from './pending-work.js';

type Recorded = (input: JsonObject, call: RecordedCall) => Promise<StageOutcome | LargeOutcome | null>;
/** The call itself, of a kind that a worker of an earlier release refuses. */
type Whole = (input: JsonObject, call: StageCall & RecordedCall) => Promise<StageOutcome | null>;

/**
 * The question is repeated while the state store is away: for about half a minute, as an attempt repeats it, or for three seconds where the
 * stage's time is over.
 */
const QUESTION = { startToCloseTimeout: 10_000, retry: { initialInterval: 200, maximumInterval: 2_000 } };
const MOST_QUESTIONS = { inTime: 18, late: 5 };
/** For all questions, in milliseconds. */
const LONGEST_MS = { inTime: 40_000, late: 6_000 };
/**
 * The same of a call with effects, in milliseconds: without an answer it would be made again. What ends the questions is their number; while all
 * slots of the worker are taken they wait for one.
 */
const LONGEST_WITH_EFFECTS_MS = 600_000;
/** For a large outcome that is known to be there, in milliseconds: the task may have to wait for a slot. */
const LONGEST_WHOLE_MS = { inTime: 120_000, late: 30_000 };

interface Asked {
  readonly call: StageCall;
  readonly input: JsonObject;
  /** When the call was first scheduled, in milliseconds since 1970. */
  readonly since: number;
  /** Runs a local activity; its result arrives after the effects of those that ended before it. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when the current workflow task has room for a command with the input. */
  room(): Promise<void> | undefined;
  /** Begins an activity as soon as the run has a place for it. */
  readonly begin: Begin;
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

/** Time for all questions of a call's record, in milliseconds, the wait for a slot of the worker included. */
export function longestMs(call: StageCall, isLate: boolean): number {
  if (changesElsewhere(call)) return LONGEST_WITH_EFFECTS_MS;
  return isLate ? LONGEST_MS.late : LONGEST_MS.inTime;
}

/**
 * Undefined if none is recorded, or the store does not say so. Rejects with a cancellation, and with `RECORD_GONE` if one of a call with effects is
 * recorded and cannot be fetched: another candidate, or a run that resumes this one, would repeat the call.
 */
async function recordedOutcome(asked: Asked, isLate: boolean): Promise<StageOutcome | undefined> {
  const { call, input, since, inTurn } = asked;
  const { stage } = call;
  const recorded = { recorded: { call, since } };
  const maximumAttempts = isLate ? MOST_QUESTIONS.late : MOST_QUESTIONS.inTime;
  const activities = proxyLocalActivities<Record<string, Recorded>>({
    ...QUESTION,
    scheduleToCloseTimeout: longestMs(call, isLate),
    retry: { ...QUESTION.retry, maximumAttempts },
    summary: summaryOf(call),
  });
  const ask = activities[stage] as Recorded;
  let isThere = false;
  let why: unknown;
  try {
    const answer = await inTurn(() => ask(input, { ...recorded, ...taskTime() }));
    if (answer === null) return undefined;
    if (!('large' in answer)) return answer;
    isThere = true;
    const whole = await wholeOutcome(asked, isLate);
    if (whole) return whole;
  } catch (error) {
    if (isCancellation(error)) throw error;
    isThere ||= saysRecorded(error);
    why = error;
  }
  if (isThere && changesElsewhere(call) && takes('ended-calls-end-their-stage')) throw unreadable(call, why);
  return undefined;
}

/** Whether the call has ended by its entry, though that lacks the outcome. */
function saysRecorded(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  const details: unknown = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
  return (details as { readonly recorded?: unknown } | undefined)?.recorded === true;
}

function unreadable({ stage }: StageCall, why: unknown): StageError {
  const cause = why instanceof ActivityFailure ? why.cause : undefined;
  const message =
    cause instanceof ApplicationFailure ? cause.message : 'its call has ended, and its outcome could not be fetched';
  return new StageError('RECORD_GONE', `stage "${stage}": ${message}`, { stage });
}

/** An outcome that is not small, by an activity of the run's task queue: its result travels alone. */
async function wholeOutcome(asked: Asked, isLate: boolean): Promise<StageOutcome | null> {
  const { call, input, since, room, begin } = asked;
  const { tenant, priority, stage } = call;
  await room();
  const activities = proxyActivities<Record<string, Whole>>({
    ...QUESTION,
    scheduleToCloseTimeout: isLate ? LONGEST_WHOLE_MS.late : LONGEST_WHOLE_MS.inTime,
    priority: queueOrder(tenant, priority),
    summary: summaryOf(call),
  });
  const ask = activities[stage] as Whole;
  const start = () => ask(input, { ...call, kind: ENTRY_KIND, recorded: { call, since } });
  return await begin((waitedMs) => {
    const more = waitedMs > 0 ? room() : undefined;
    return more !== undefined ? more.then(start) : start();
  });
}

const summaryOf = ({ stage, path = stage }: StageCall): string => `${path} · record`;
