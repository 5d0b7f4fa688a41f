import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { ContinueAsNew, DeterminismViolationError } from '@temporalio/workflow';
import { messageOf } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import type { StagePlan } from '../pipelines/plan/index.js';
import { type StageRecord, usageOfRows } from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { wellFormed, wellFormedError } from '../pipelines/well-formed.js';
import { type NotBegun, notBegun } from './elsewhere.js';

/**
 * Converts an error to what a run's workflow throws. A failure ends the run; after any other error Temporal retries the
 * workflow task until it succeeds. An error that is neither a stage's failure nor Temporal's own is a bug and ends the
 * run as `INTERNAL`, except on replay: there it is the bug of a code change, as the history shows that the original
 * code ran without it.
 *
 * @param replaying whether the workflow was replaying when the error was thrown
 */
export function runFailure(error: unknown, replaying: boolean): unknown {
  if (error instanceof StageError) {
    const { stack, ...details } = error.details;
    const failure = ApplicationFailure.create({
      type: error.code,
      message: headline(error),
      nonRetryable: true,
      details: [{ ...details, message: error.message }],
    });
    // The frames of the author's function, for the Temporal UI.
    if (typeof stack === 'string') failure.stack = wellFormed(stack);
    return failure;
  }
  if (error instanceof TemporalFailure || error instanceof ContinueAsNew) return error;
  if (replaying || error instanceof DeterminismViolationError) return error;
  return ApplicationFailure.create({
    type: 'INTERNAL',
    message: messageOf(error),
    nonRetryable: true,
    ...(error instanceof Error && { cause: wellFormedError(error) }),
  });
}

/** For Temporal's UI: what went wrong first, without the steps around it, then the code and the stage. */
function headline({ code, message, details }: StageError): string {
  const text = message.replace(/^(?:(?:stage|run) "[^"]+": )+/, '');
  return `${text} (${code}${typeof details.stage === 'string' ? `, stage "${details.stage}"` : ''})`;
}

/** Temporal has its own type for a worker that was stopped in the middle of a stage. */
const codeOf = ({ type }: ApplicationFailure): string =>
  type === 'WorkerShutdown' ? 'STAGE_TIMEOUT' : (type ?? 'INTERNAL');

/** Maps a stage's last failure to a code of the error table. */
export function stageError({ id, policy }: Pick<StagePlan, 'id'> & Partial<StagePlan>, error: unknown): StageError {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = (cause.details?.[0] ?? {}) as JsonObject;
    return new StageError(codeOf(cause), `stage "${id}": ${cause.message}`, { ...details, stage: id });
  }
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === 'SCHEDULE_TO_START') {
      const limit = policy?.timeout.queueMs;
      const { begun = 0, lost }: Partial<NotBegun> = notBegun(cause) ?? {};
      return new StageError('QUEUE_TIMEOUT', `stage "${id}": no worker took it within ${limit} ms`, {
        stage: id,
        begun,
        ...(lost && { lost }),
      });
    }
    const limits = policy && `limits: ${policy.timeout.attemptMs} ms an attempt, ${policy.timeout.totalMs} ms in all`;
    const why = cause.timeoutType === 'HEARTBEAT' ? 'its worker stopped answering' : limits;
    return new StageError(
      'STAGE_TIMEOUT',
      `stage "${id}" timed out (${[cause.timeoutType, why].filter(Boolean).join('; ')})`,
      { stage: id },
    );
  }
  return new StageError('INTERNAL', `stage "${id}": ${error instanceof Error ? error.message : String(error)}`, {
    stage: id,
  });
}

/** Maps a child run's failure to its code. */
export function childError(step: string, error: unknown): StageError {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  const run = error instanceof ChildWorkflowFailure ? (error.execution.workflowId ?? '') : '';
  if (cause instanceof ApplicationFailure) {
    // Its stage table is in its own history; what it has used counts here too.
    const { stages = [], message = cause.message, ...details } = (cause.details?.[0] ?? {}) as JsonObject;
    const usage = usageOfRows(stages as unknown as readonly StageRecord[]);
    const own = { ...details, stage: step, run, ...(usage && { usage }) };
    return new StageError(codeOf(cause), `run "${step}": ${String(message)}`, own);
  }
  if (cause instanceof CancelledFailure) {
    return new StageError('CHILD_CANCELLED', `run "${step}": it was cancelled`, { stage: step, run });
  }
  return new StageError('RUN_FAILED', `run "${step}": ${error instanceof Error ? error.message : String(error)}`, {
    stage: step,
    run,
  });
}
