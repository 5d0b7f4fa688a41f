import { isGrpcCancelledError, isGrpcDeadlineError, isGrpcServiceError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError, messageOf } from '../pipelines/errors.js';

/** Longest wait for one answer of Temporal: far above a healthy one (5 ms), far below a caller's patience. */
export const TEMPORAL_DEADLINE_MS = 5_000;

/** Codes of gRPC that mean "not now": the caller may try again. */
const PASSING = new Set([
  1 /* CANCELLED */, 4 /* DEADLINE_EXCEEDED */, 8 /* RESOURCE_EXHAUSTED */, 14 /* UNAVAILABLE */,
]);

/** What Temporal's client threw, as an error of the table. `runId` is named when the run is not there. */
export function fromTemporal(error: unknown, runId: string): MillraceError {
  if (error instanceof MillraceError) return error;
  if (error instanceof WorkflowNotFoundError) return runNotFound(runId);
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  const passing = isGrpcDeadlineError(error) || isGrpcCancelledError(error);
  if (passing || (isGrpcServiceError(cause) && PASSING.has(cause.code))) {
    return new MillraceError('ORCHESTRATOR_UNAVAILABLE', 'Temporal does not answer; try again', {}, { cause: error });
  }
  return new MillraceError('INTERNAL', `Temporal: ${messageOf(cause)}`, {}, { cause: error });
}

export const runNotFound = (runId: string): MillraceError => {
  const message = `no run has the id "${runId}"`;
  return new MillraceError('RUN_NOT_FOUND', message, { fields: [{ field: 'id', message }] });
};
