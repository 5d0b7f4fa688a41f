import {
  ActivityFailure,
  ApplicationFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
  TimeoutFailure,
} from '@temporalio/common';
import { isAway } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import { callsBegun, type StagePlacement } from '../pipelines/run/index.js';
import { takes } from './changes.js';

/** One try of a stage on one of its queues. */
export interface OnQueue {
  readonly queue: string;
  readonly device: string;
  /** Maximum wait for a worker to start, in milliseconds; undefined on the last queue, where the policy applies. */
  readonly patienceMs: number | undefined;
  /** Attempts started on earlier queues. */
  readonly begun: number;
  /** One of them may have written the stage's streams. */
  readonly again?: true;
  /** One of them was lost, and may have ended without a report. */
  readonly lost?: true;
}

/**
 * Runs a stage on the first of its queues on which a worker takes it. Attempts count across queues, also one that was lost
 * with its worker: if none is left, the stage fails as the last one did.
 */
export async function onFirstQueue<T>(placed: StagePlacement, attempts: number, run: (on: OnQueue) => Promise<T>) {
  const { queue, device, elsewhere = [], patienceMs } = placed;
  const places = [{ queue, device }, ...elsewhere];
  let begun = 0;
  let again = false;
  let lost = false;
  for (const [i, place] of places.entries()) {
    const last = i === places.length - 1;
    try {
      const before = { begun, ...(again && { again }), ...(lost && { lost }) };
      return await run({ ...place, patienceMs: last ? undefined : patienceMs, ...before });
    } catch (error) {
      const wait = last ? undefined : notBegun(error);
      if (wait === undefined) throw error;
      begun += wait.begun;
      lost ||= wait.lost === true;
      again ||= lost || (wait.failure !== undefined && detailsOf(wait.failure).unstreamed !== true);
      if (begun >= attempts) throw wait.failure ?? error;
    }
  }
  throw new Error('a stage has at least one queue');
}

export interface NotBegun {
  /** Attempts before the latest one that may have made a call. */
  readonly begun: number;
  /** Of the attempt before. */
  readonly failure?: Error;
  /** The attempt before it was lost with its worker, or took too long. */
  readonly lost?: true;
}

/** Set if no worker started the activity's latest attempt, or no server received its call; with how the one before that ended. */
export function notBegun(error: unknown): NotBegun | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return isAway(awayOf(cause)) ? callsOf(cause) : undefined;
  if (!(cause instanceof TimeoutFailure) || cause.timeoutType !== 'SCHEDULE_TO_START') return undefined;
  const failure = failureBefore(cause);
  if (failure === undefined) return { begun: 0 };
  const isReported = failure instanceof ApplicationFailure;
  if (isReported && failure.type !== 'WorkerShutdown') return callsOf(failure);
  const left = (cause.lastHeartbeatDetails ?? {}) as Parameters<typeof callsBegun>[0];
  const begun = takes('lost-attempts-count') ? callsBegun(left, isReported) : Number(isReported);
  return { begun, failure, ...(!isReported && { lost: true as const }) };
}

/**
 * The failure of the previous attempt, if the activity's total time ended while a new attempt was checking whether the server is back.
 * Temporal reports only a timeout there. An attempt that has sent a heartbeat counts as a call, since the server may be back.
 */
export function stillAway(error: unknown): ApplicationFailure | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (!(cause instanceof TimeoutFailure) || cause.timeoutType !== 'SCHEDULE_TO_CLOSE') return undefined;
  const { doing } = (cause.lastHeartbeatDetails ?? {}) as { doing?: string };
  const before = doing === undefined ? undefined : failureBefore(cause);
  if (!(before instanceof ApplicationFailure)) return undefined;
  return isAway(awayOf(before)) && takes('waits-end-as-away') ? before : undefined;
}

/** The failure of the attempt before the one that timed out. The SDK does not convert the server's nested cause. */
const failureBefore = ({ failure }: TimeoutFailure): Error | undefined =>
  failure?.cause ? defaultFailureConverter.failureToError(failure.cause, defaultPayloadConverter) : undefined;

const detailsOf = (failure: Error): JsonObject =>
  ((failure instanceof ApplicationFailure && failure.details?.[0]) || {}) as JsonObject;
const awayOf = (failure: ApplicationFailure) => ({ code: failure.type ?? '', details: detailsOf(failure) });

function callsOf(failure: ApplicationFailure): NotBegun & { readonly failure: ApplicationFailure } {
  const { attempt } = detailsOf(failure);
  return { begun: typeof attempt === 'number' ? attempt : 1, failure };
}
