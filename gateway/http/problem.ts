import { type ErrorCode, errorRow, MillraceError } from '../../pipelines/errors.js';
import type { Problem } from '../../pipelines/run/document.js';
import { RunFailedError } from '../../runs/failed.js';
import { LaterRefusedError } from '../../runs/refused.js';
import { challengeOf, type TokenHint } from '../access/challenge.js';
import { RateExceededError, rateHeaders } from '../access/request-rate.js';

export type { Problem } from '../../pipelines/run/document.js';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/**
 * The problem body of an error. Details of `INTERNAL` and foreign errors are only logged: they may contain paths or
 * hosts.
 */
export function problemOf(error: MillraceError, request: { readonly url: string; readonly id: string }): Problem {
  const { code } = error;
  const { status, title } = errorRow(code);
  const detail = code === 'INTERNAL' ? 'The cause is in the gateway’s log under this request id.' : error.message;
  const errors = error.details.fields ?? [];
  return {
    type: `urn:millrace:error:${code}`,
    title,
    status,
    detail,
    code,
    instance: request.url.split('?', 1)[0] as string,
    requestId: request.id,
    ...(errors.length > 0 && { errors }),
    ...(error instanceof RunFailedError && { run: error.run }),
  };
}

/**
 * Headers of an error response, at every door.
 * @param hint that of the request
 */
export function headersOf(error: MillraceError, hint?: TokenHint): Record<string, string> {
  const challenge = challengeOf(error, hint);
  return {
    ...(error instanceof RateExceededError && rateHeaders(error.rate)),
    ...(challenge !== undefined && { 'www-authenticate': challenge }),
    // The libraries of OpenAI and Anthropic, which retry by themselves, heed it.
    ...(error instanceof LaterRefusedError && { 'x-should-retry': 'false' }),
    // In whole seconds (RFC 9110 §10.2.3), rounded up.
    ...(error.details.retryAfterMs !== undefined && {
      'retry-after': String(Math.ceil(error.details.retryAfterMs / 1000)),
    }),
  };
}

/** Fastify's errors and their translation. `field` is the affected part of the request. */
const OF_FASTIFY: Readonly<Record<string, { code: ErrorCode; field: string; message: string }>> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'EMPTY_BODY', field: 'body', message: 'the request has no body' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'BODY_TOO_LARGE', field: 'body', message: 'the JSON body is above the limit' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'INVALID_HEADER',
    field: 'Content-Length',
    message: 'the length of the body differs from Content-Length',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'UNSUPPORTED_CONTENT_TYPE',
    field: 'Content-Type',
    message: 'send multipart/form-data, application/json or audio/wav (curl: -H "Content-Type: audio/wav")',
  },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'ROUTE_NOT_FOUND', field: 'path', message: 'a part of the path is too long' },
  FST_ERR_BAD_URL: { code: 'ROUTE_NOT_FOUND', field: 'path', message: 'the path cannot be decoded' },
};

/** Converts any thrown value to an error of the table. */
export function asMillraceError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const known = OF_FASTIFY[(error as { code?: string } | null)?.code ?? ''];
  if (known === undefined) return new MillraceError('INTERNAL', 'an error inside the gateway', {}, { cause: error });
  const { code, field, message } = known;
  return new MillraceError(code, message, { fields: [{ field, message }] }, { cause: error });
}
