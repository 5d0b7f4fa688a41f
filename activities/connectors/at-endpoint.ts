import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';

/** Codes that a connector throws itself while it reads an answer, without knowing whose it is. */
const OF_THE_SERVER: ReadonlySet<ErrorCode> = new Set([
  'INVALID_OUTPUT',
  'MODEL_NOT_FOUND',
  'BACKEND_REJECTED',
  'BACKEND_UNAVAILABLE',
]);

/** The error with the endpoint that it is about, if it is about one: not one of the artifact store's that passed through. */
export function atEndpoint(
  error: MillraceError,
  { endpoint, model }: { endpoint: string; model: string },
): MillraceError {
  const { code, message, details, cause } = error;
  if (!OF_THE_SERVER.has(code) || details.endpoint !== undefined) return error;
  return new MillraceError(code, `${model} at ${endpoint}: ${message}`, { ...details, endpoint }, { cause });
}
