import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/common';
import type { JsonObject } from '../pipelines/json.js';
import type { StagePlan } from '../pipelines/plan/index.js';
import { StageError } from './interpreter/index.js';

/** Temporal reports by a type of its own that a worker was stopped in the middle of a stage. */
const codeOf = ({ type }: ApplicationFailure): string =>
  type === 'WorkerShutdown' ? 'STAGE_TIMEOUT' : (type ?? 'INTERNAL');

/** A stage's last failure as the error table's code. */
export function stageError({ id, policy }: Pick<StagePlan, 'id'> & Partial<StagePlan>, error: unknown): StageError {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = (cause.details?.[0] ?? {}) as JsonObject;
    return new StageError(codeOf(cause), `stage "${id}": ${cause.message}`, { ...details, stage: id });
  }
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === 'SCHEDULE_TO_START') {
      const limit = policy?.timeout.queueMs;
      return new StageError('QUEUE_TIMEOUT', `stage "${id}": no worker took it within ${limit} ms`, { stage: id });
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

/** A child run's failure as its own code. */
export function childError(step: string, error: unknown): StageError {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  const run = error instanceof ChildWorkflowFailure ? (error.execution.workflowId ?? '') : '';
  if (cause instanceof ApplicationFailure) {
    // Its table is in its own history.
    const { stages: _, ...details } = (cause.details?.[0] ?? {}) as JsonObject;
    return new StageError(codeOf(cause), `run "${step}": ${cause.message}`, { ...details, stage: step, run });
  }
  if (cause instanceof CancelledFailure) {
    return new StageError('CHILD_CANCELLED', `run "${step}": it was cancelled`, { stage: step, run });
  }
  return new StageError('RUN_FAILED', `run "${step}": ${error instanceof Error ? error.message : String(error)}`, {
    stage: step,
    run,
  });
}
