import { isGrpcCancelledError, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/common';
import { type FieldError, isErrorCode } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import type { RunResult, StageRecord } from '../pipelines/run/index.js';
import type { RunDocument, RunError, RunStatus } from './document.js';

/** How a run ended. */
export interface RunOutcome {
  readonly status: Exclude<RunStatus, 'running'>;
  readonly output?: JsonObject;
  readonly stages?: readonly StageRecord[];
  readonly error?: RunError;
}

/** A run to wait for. */
export interface EndingRun {
  readonly id: string;
  readonly tenant: string;
}

/** How a run has ended. */
export interface RunEnd {
  readonly outcome: RunOutcome;
  /** Reads the whole document from Temporal, with input and end time. Rejects as `readRun` does. */
  document(): Promise<RunDocument>;
}

/** Waits for a run's end. Undefined if `withAbortSignal`'s signal aborted first; rejects on connection errors. */
export async function outcomeOf(handle: WorkflowHandle): Promise<RunOutcome | undefined> {
  try {
    const { output, stages } = (await handle.result()) as RunResult;
    return { status: 'succeeded', output, stages };
  } catch (error) {
    if (error instanceof WorkflowFailedError) return failureOf(error);
    if (isGrpcCancelledError(error)) return undefined;
    throw error;
  }
}

/** The details of the workflow's failure. */
interface FailureDetails {
  readonly stages?: readonly StageRecord[];
  readonly stage?: string;
  readonly fields?: readonly FieldError[];
  /** The whole message, with the stages around it; absent in failures of earlier releases. */
  readonly message?: string;
  readonly at?: string;
  readonly retryAfterMs?: number;
}

function failureOf({ cause, message }: WorkflowFailedError): RunOutcome {
  if (cause instanceof ApplicationFailure) {
    const details = (cause.details?.[0] ?? {}) as FailureDetails;
    const { stages, stage, fields, at, retryAfterMs, message: whole = cause.message } = details;
    const code = isErrorCode(cause.type) ? cause.type : 'RUN_FAILED';
    return {
      status: code === 'RUN_CANCELLED' ? 'cancelled' : 'failed',
      ...(stages && { stages }),
      error: {
        code,
        message: whole,
        ...(stage !== undefined && { stage }),
        ...(fields && { fields }),
        ...(at !== undefined && { at }),
        ...(typeof retryAfterMs === 'number' && { retryAfterMs }),
      },
    };
  }
  if (cause instanceof CancelledFailure) {
    return { status: 'cancelled', error: { code: 'RUN_CANCELLED', message: 'the run was cancelled' } };
  }
  if (cause instanceof TerminatedFailure) {
    return { status: 'failed', error: { code: 'RUN_FAILED', message: `the run was terminated: ${cause.message}` } };
  }
  if (cause instanceof TimeoutFailure) {
    const text = 'the run did not end within its deadline, and no worker was there to say why';
    return { status: 'failed', error: { code: 'DEADLINE_EXCEEDED', message: text } };
  }
  return { status: 'failed', error: { code: 'RUN_FAILED', message: cause?.message ?? message } };
}
