import { type ErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import { atEndpoint } from './at-endpoint.js';
import type { MapError } from './connector.js';
import type { Answer } from './exchange.js';
import { retryAfterMs } from './retry-after.js';
import { isNotReady, neverLeft } from './unsent.js';

/** An answer whose status indicates that the call failed. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly status: number;
  /** The server's explanation; may be empty. */
  readonly detail: string;
  /** The wait that the server requests, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor({ status, headers }: Pick<Answer, 'status' | 'headers'>, detail: string) {
    super(detail === '' ? `HTTP ${status}` : `HTTP ${status}: ${detail}`);
    this.status = status;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs(headers, Date.now());
  }
}

/** A `mapError` for the errors of `exchange` and its callers; `codeOf` maps answers to codes. */
export const errorMapper =
  (codeOf: (fault: HttpFault) => ErrorCode): MapError =>
  (error, { endpoint, model }) => {
    if (error instanceof MillraceError) return atEndpoint(error, { endpoint, model });
    const answered = error instanceof HttpFault;
    const wait = answered ? error.retryAfterMs : undefined;
    const text = answered ? error.message : shortened(describeFetch(error));
    const code = answered ? codeOf(error) : codeOfFetch(error);
    const unsent =
      code === 'BACKEND_UNAVAILABLE' && (answered ? isNotReady(error.status, error.detail) : neverLeft(text));
    return new MillraceError(
      code,
      `${model} at ${endpoint}: ${text}`,
      { endpoint, ...(wait !== undefined && { retryAfterMs: wait }), ...(unsent && { unsent }) },
      { cause: error },
    );
  };

/** Code for an HTTP status from 300, unless the body is more specific. */
export function codeOfStatus({ status, detail, retryAfterMs }: HttpFault): ErrorCode {
  switch (status) {
    case 401:
    case 403:
      return 'BACKEND_UNAUTHORIZED';
    case 408:
    case 504:
      return 'BACKEND_TIMEOUT';
    case 429:
      return 'BACKEND_RATE_LIMITED';
    case 529:
      return 'BACKEND_OVERLOADED';
    case 501:
    case 505:
      return 'BACKEND_REJECTED';
    case 502:
      return 'BACKEND_UNAVAILABLE';
    case 503: {
      // A server that sheds load, if it says so; else one that is starting, or a proxy without an upstream.
      const shedding = retryAfterMs !== undefined || /overload|capacity|busy|too many|queue|rate limit/i.test(detail);
      return shedding ? 'BACKEND_OVERLOADED' : 'BACKEND_UNAVAILABLE';
    }
    default:
      return status >= 500 ? 'BACKEND_ERROR' : 'BACKEND_REJECTED';
  }
}

/** Code for an error thrown by `fetch`: no answer, or a partial one. */
function codeOfFetch(error: unknown): ErrorCode {
  const text = describeFetch(error);
  if (neverLeft(text)) return 'BACKEND_UNAVAILABLE';
  // Timeouts as undici and the system name them: UND_ERR_HEADERS_TIMEOUT (300 s), ETIMEDOUT.
  if (/TIMEOUT|ETIMEDOUT/.test(text)) return 'BACKEND_TIMEOUT';
  if (error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message)) return 'BACKEND_UNAVAILABLE';
  return 'INTERNAL';
}

/** Messages of wrapper errors whose cause holds the real message. */
const WRAPPERS: ReadonlySet<string> = new Set(['fetch failed', 'terminated']);
/** No real chain of causes is longer. */
const DEEPEST_CAUSE = 4;

/** The message, or its causes' messages: `connect ECONNREFUSED 127.0.0.1:7408`. */
export function describeFetch(error: unknown): string {
  const parts: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < DEEPEST_CAUSE; at = at.cause, depth++) {
    const { code } = at as { code?: unknown };
    const named = typeof code !== 'string' || at.message.includes(code);
    // An AggregateError, raised when all addresses of a host fail, has no message of its own.
    const message = named ? at.message : at.message === '' ? String(code) : `${at.message} (${code})`;
    if (!WRAPPERS.has(message)) parts.push(message.trim());
  }
  return parts.length > 0 ? parts.join(': ') : messageOf(error);
}

/** In characters. Servers may answer with whole pages; the cause is at the start. */
const LONGEST_DETAIL = 500;
export const shortened = (text: string): string =>
  text.length > LONGEST_DETAIL ? `${text.slice(0, LONGEST_DETAIL)}…` : text;
