import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';

/** Codes that a connector throws while it reads an answer, before the endpoint is attached. */
const OF_THE_SERVER: ReadonlySet<ErrorCode> = new Set([
  'INVALID_OUTPUT',
  'MODEL_NOT_FOUND',
  'BACKEND_REJECTED',
  'BACKEND_UNAVAILABLE',
  'BACKEND_OVERLOADED',
  'BACKEND_RATE_LIMITED',
  'BACKEND_TIMEOUT',
  'BACKEND_BROKEN',
  'BACKEND_ERROR',
  'BACKEND_UNAUTHORIZED',
  'CONTEXT_TOO_LONG',
]);

/** Longest message, in characters: it may quote what the server has answered, to the names of tools. */
const LONGEST = 4_000;

/** Adds the endpoint to the error if the error concerns it; an artifact-store error that passes through does not. */
export function atEndpoint(
  error: MillraceError,
  { endpoint, model }: { endpoint: string; model: string },
): MillraceError {
  const { code, message, details, cause } = error;
  if (!OF_THE_SERVER.has(code) || details.endpoint !== undefined) return error;
  const said = message.length > LONGEST ? `${message.slice(0, LONGEST)}…` : message;
  return new MillraceError(code, `${model} at ${endpoint}: ${said}`, { ...details, endpoint }, { cause });
}
