import type { FastifyRequest } from 'fastify';
import { type ErrorCode, errorRow, type MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { ErrorShape } from '../http/error-shape.js';
import { problemOf } from '../http/problem.js';

/** An error body in OpenAI's form. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: 'invalid_request_error' | 'requests' | 'server_error';
    /** The invalid parameter, as in the request. */
    readonly param: string | null;
    /** OpenAI’s code if there is one, otherwise a code of the error table. */
    readonly code: string;
  };
}

/** The resources of OpenAI’s API, also those that are not served: its client for Node shows the message of an error in this form only. */
const RESOURCES = [
  ...['assistants', 'audio', 'batches', 'chat', 'completions', 'containers', 'conversations', 'embeddings', 'evals'],
  ...['files', 'fine_tuning', 'images', 'models', 'moderations', 'organization', 'realtime', 'responses', 'threads'],
  ...['uploads', 'vector_stores', 'videos'],
];
const PATHS = new RegExp(`^(/v1)+/(${RESOURCES.join('|')})(/|$)`);
/** What is asked for by clients whose base URL lacks `/v1`. */
const WITHOUT_VERSION =
  /^\/(chat\/completions|completions|responses|embeddings|models|audio\/(speech|transcriptions)|images\/generations)$/;

/** OpenAI's codes for some codes of the error table. */
const CODES: Readonly<Partial<Record<ErrorCode, string>>> = {
  PIPELINE_NOT_FOUND: 'model_not_found',
  UNAUTHENTICATED: 'invalid_api_key',
  RATE_LIMITED: 'rate_limit_exceeded',
  BACKEND_RATE_LIMITED: 'rate_limit_exceeded',
  CONTEXT_TOO_LONG: 'context_length_exceeded',
};

/**
 * Errors of the OpenAI-compatible routes. Clients choose the exception by the status: 422 of the error table becomes
 * 400. `x-should-retry` stops clients from retrying, as they do for many statuses, where it cannot help.
 */
export const openAiErrors: ErrorShape = {
  speaks: (path, code) => PATHS.test(path) || (code === 'ROUTE_NOT_FOUND' && WITHOUT_VERSION.test(path)),
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

/** OpenAI does not use 422. */
export function statusOf(code: ErrorCode): number {
  const { status } = errorRow(code);
  return status === 422 ? 400 : status;
}

export function errorBody(error: MillraceError, request: Pick<FastifyRequest, 'url' | 'id'>): ErrorBody {
  const { detail, status, errors } = problemOf(error, request);
  const type = status === 429 ? 'requests' : status < 500 ? 'invalid_request_error' : 'server_error';
  return { error: { message: detail, type, param: errors?.[0]?.field ?? null, code: CODES[error.code] ?? error.code } };
}

/** An invalid parameter; `param` is its name in the request. */
export const invalidParam = (param: string, message: string): MillraceError => invalidField(param, message);
