import { status } from '@grpc/grpc-js';
import { type ErrorCode, errorRow } from '../../pipelines/errors.js';

/** Codes whose HTTP status does not determine the gRPC status. */
const BY_CODE: Partial<Record<ErrorCode, status>> = {
  RUN_CANCELLED: status.CANCELLED,
  REQUEST_ABORTED: status.CANCELLED,
  BODY_MEMORY_FULL: status.RESOURCE_EXHAUSTED,
  RESULT_TOO_LARGE: status.RESOURCE_EXHAUSTED,
};

const BY_STATUS: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  405: status.UNIMPLEMENTED,
  408: status.DEADLINE_EXCEEDED,
  409: status.ABORTED,
  413: status.RESOURCE_EXHAUSTED,
  415: status.UNIMPLEMENTED,
  422: status.INVALID_ARGUMENT,
  429: status.RESOURCE_EXHAUSTED,
  431: status.RESOURCE_EXHAUSTED,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

/**
 * The gRPC status of a code of the error table. A failed model server (502) is UNAVAILABLE if a retry may help, as
 * gRPC's clients interpret it, otherwise INTERNAL.
 */
export function grpcStatus(code: ErrorCode): status {
  const row = errorRow(code);
  const failure = row.status === 502 && row.retry !== 'never' ? status.UNAVAILABLE : status.INTERNAL;
  return BY_CODE[code] ?? BY_STATUS[row.status] ?? failure;
}
