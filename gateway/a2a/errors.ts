import { type ErrorCode, errorRow, MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { ErrorShape } from '../http/error-shape.js';
import { problemOf } from '../http/problem.js';

/** Error codes of JSON-RPC and of the protocol. */
export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** Of the server's own: limits, permissions. */
  refused: -32000,
  taskNotFound: -32001,
  taskNotCancelable: -32002,
  pushNotSupported: -32003,
  unsupportedOperation: -32004,
  contentTypeNotSupported: -32005,
  versionNotSupported: -32009,
} as const;

/** An error with a code of the protocol that its own code does not determine. */
export class ProtocolError extends MillraceError {
  constructor(
    readonly rpc: number,
    code: ErrorCode,
    message: string,
    field?: string,
  ) {
    super(code, message, field === undefined ? {} : { fields: [{ field, message }] });
  }
}

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  INVALID_JSON: RPC.parseError,
  RUN_NOT_FOUND: RPC.taskNotFound,
  RUN_ENDED: RPC.unsupportedOperation,
  NOT_WAITING: RPC.unsupportedOperation,
  ALREADY_DECIDED: RPC.unsupportedOperation,
  INVALID_MEDIA: RPC.contentTypeNotSupported,
  PIPELINE_NOT_FOUND: RPC.invalidRequest,
  EMPTY_BODY: RPC.invalidRequest,
  UNSUPPORTED_CONTENT_TYPE: RPC.invalidRequest,
};

/** Statuses of errors of what a message says. */
const OF_PARAMS: ReadonlySet<number> = new Set([400, 413, 422]);

function rpcCodeOf(error: MillraceError): number {
  if (error instanceof ProtocolError) return error.rpc;
  const known = BY_CODE[error.code];
  if (known !== undefined) return known;
  const { status } = errorRow(error.code);
  if (status >= 500) return RPC.internal;
  return OF_PARAMS.has(status) ? RPC.invalidParams : RPC.refused;
}

type Request = Parameters<typeof problemOf>[1];

/** The response to a message that was refused; `data` has Millrace's code and the fields. */
export function errorBody(error: MillraceError, request: Request, id: Json) {
  const { detail, code, requestId, errors = [] } = problemOf(error, request);
  const { retryAfterMs } = error.details;
  const type = (name: string) => ({ '@type': `type.googleapis.com/google.rpc.${name}` });
  const retry = errorRow(code).retry !== 'never';
  const data: JsonObject[] = [
    { ...type('ErrorInfo'), reason: code, domain: 'millrace', metadata: { requestId, retry: String(retry) } },
    ...(errors.length > 0
      ? [
          {
            ...type('BadRequest'),
            fieldViolations: errors.map(({ field, message: description }) => ({ field, description })),
          },
        ]
      : []),
    ...(retryAfterMs === undefined ? [] : [{ ...type('RetryInfo'), retryDelay: `${retryAfterMs / 1_000}s` }]),
  ];
  return { jsonrpc: '2.0' as const, id, error: { code: rpcCodeOf(error), message: `${code}: ${detail}`, data } };
}

/** Errors before a message is read keep their status. */
export const a2aErrors: ErrorShape = {
  speaks: (path) => path.startsWith('/a2a/') && !path.endsWith('.json'),
  answer(error, request) {
    const body = errorBody(error, request, null);
    return { status: errorRow(error.code).status, type: 'application/json; charset=utf-8', body };
  },
};
