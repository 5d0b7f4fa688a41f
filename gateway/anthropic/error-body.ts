import type { FastifyRequest } from 'fastify';
import { errorRow, type MillraceError } from '../../pipelines/errors.js';
import type { ErrorShape } from '../http/error-shape.js';
import { problemOf } from '../http/problem.js';
import { statusOf } from '../openai/error-body.js';

/** An error body in Anthropic's form (https://docs.anthropic.com/en/api/errors). */
export interface ErrorBody {
  readonly type: 'error';
  readonly error: { readonly type: string; readonly message: string; readonly code: string };
  readonly request_id: string;
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** Errors of `/v1/messages`. Clients choose the exception by the status, and retry unless `x-should-retry` says no. */
export const anthropicErrors: ErrorShape = {
  speaks: (path) => /^\/v1\/messages(\/|$)/.test(path),
  answer: (error, request) => ({
    status: statusOf(error.code),
    type: 'application/json; charset=utf-8',
    body: errorBody(error, request),
    headers: {
      'request-id': request.id,
      ...(errorRow(error.code).retry === 'never' && { 'x-should-retry': 'false' }),
    },
  }),
};

/** `code` is that of the error table, which the protocol lacks. */
export function errorBody(error: MillraceError, request: Pick<FastifyRequest, 'url' | 'id'>): ErrorBody {
  const status = statusOf(error.code);
  const type = TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  const { detail } = problemOf(error, request);
  return { type: 'error', error: { type, message: detail, code: error.code }, request_id: request.id };
}
