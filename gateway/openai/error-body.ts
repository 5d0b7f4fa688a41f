import type { FastifyRequest } from 'fastify';
import { type ErrorCode, errorRow, type MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { ErrorShape } from '../http/error-shape.js';
import { problemOf } from '../http/problem.js';

/** Body of an error as OpenAI's clients read it. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: 'invalid_request_error' | 'requests' | 'server_error';
    /** The parameter that is wrong, as the caller wrote it. */
    readonly param: string | null;
    /** OpenAI’s own word where there is one, else a code of the error table. */
    readonly code: string;
  };
}

const PATHS = /^\/v1\/(models|chat|completions|responses|embeddings|audio)(\/|$)/;

/** OpenAI's words for some codes of the error table. */
const CODES: Readonly<Partial<Record<ErrorCode, string>>> = {
  PIPELINE_NOT_FOUND: 'model_not_found',
  UNAUTHENTICATED: 'invalid_api_key',
  RATE_LIMITED: 'rate_limit_exceeded',
};

/**
 * Errors of the OpenAI-compatible routes. The status chooses the client's exception: what the table calls 422 is 400 there.
 * `x-should-retry` keeps clients from repeating by themselves, as they do for many statuses, what would fail again.
 */
export const openAiErrors: ErrorShape = {
  speaks: (path) => PATHS.test(path),
  answer(error, request) {
    const { retry } = errorRow(error.code);
    return {
      status: statusOf(error.code),
      type: 'application/json; charset=utf-8',
      body: errorBody(error, request),
      ...(retry === 'never' && { headers: { 'x-should-retry': 'false' } }),
    };
  },
};

/** OpenAI knows no 422. */
export function statusOf(code: ErrorCode): number {
  const { status } = errorRow(code);
  return status === 422 ? 400 : status;
}

export function errorBody(error: MillraceError, request: Pick<FastifyRequest, 'url' | 'id'>): ErrorBody {
  const { detail, status, errors } = problemOf(error, request);
  const type = status === 429 ? 'requests' : status < 500 ? 'invalid_request_error' : 'server_error';
  return { error: { message: detail, type, param: errors?.[0]?.field ?? null, code: CODES[error.code] ?? error.code } };
}

/** A request that cannot be answered as it is meant: `param` is what of it, as its caller wrote it. */
export const invalidParam = (param: string, message: string): MillraceError =>
  invalidFields('INVALID_INPUT', [{ field: param, message }]);
