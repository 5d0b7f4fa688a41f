import { isGrpcCancelledError, isGrpcDeadlineError, isGrpcServiceError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError, messageOf } from '../pipelines/errors.js';

/** Timeout of one call to Temporal, in milliseconds. A healthy server answers in 5 ms. */
export const TEMPORAL_DEADLINE_MS = 5_000;

/** gRPC codes of transient failures. */
const PASSING = new Set([
  1 /* CANCELLED */, 4 /* DEADLINE_EXCEEDED */, 8 /* RESOURCE_EXHAUSTED */, 14 /* UNAVAILABLE */,
]);

/** The error of gRPC that an error of Temporal's client is, or has as its cause; undefined if there is none. */
export function grpcErrorIn(error: unknown): (Error & { readonly code: number }) | undefined {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  return isGrpcServiceError(cause) ? cause : undefined;
}

/** Whether Temporal does not have what is asked for, or no longer has it: gRPC `NOT_FOUND`. */
export const isNotFound = (error: unknown): boolean => grpcErrorIn(error)?.code === 5;

/** Maps an error of Temporal's client to the error table. `runId` is named if the run is not found. */
export function fromTemporal(error: unknown, runId: string): MillraceError {
  if (error instanceof MillraceError) return error;
  if (error instanceof WorkflowNotFoundError) return runNotFound(runId);
  const cause = grpcErrorIn(error);
  const passing = isGrpcDeadlineError(error) || isGrpcCancelledError(error);
  if (passing || (cause && PASSING.has(cause.code))) {
    return new MillraceError('ORCHESTRATOR_UNAVAILABLE', 'Temporal does not answer; try again', {}, { cause: error });
  }
  return new MillraceError('INTERNAL', `Temporal: ${messageOf(cause ?? error)}`, {}, { cause: error });
}

export const runNotFound = (runId: string): MillraceError => {
  const message = `no run has the id "${runId}"`;
  return new MillraceError('RUN_NOT_FOUND', message, { fields: [{ field: 'id', message }] });
};
