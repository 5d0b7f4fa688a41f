import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from 'openai/core/error';
import { type ErrorCode, type ErrorDetails, MillraceError, messageOf } from '../../../pipelines/errors.js';
import { atEndpoint } from '../at-endpoint.js';
import type { MapError } from '../connector.js';
import { shortened } from '../http-fault.js';
import { retryAfterMs } from '../retry-after.js';
import { isNotReady, neverLeft } from '../unsent.js';
import { contextTokensIn, neededTokensIn, overflows } from './context-overflow.js';

/**
 * Maps a failed call of an OpenAI-compatible server to a code. Error bodies differ between servers, so the HTTP status
 * decides, and the text only where one status covers several cases (texts of llama.cpp, vLLM, Ollama and OpenAI).
 *
 * Some servers repeat a refused API key in their answer, so the key is removed from the message, and the error that
 * holds the answer is not kept as the cause.
 */
export const errorMapper =
  (apiKey: string): MapError =>
  (error, { endpoint, model }) => {
    const own = ownOf(error);
    if (own) return atEndpoint(own, { endpoint, model });
    // Shortened before any search: an answer may have 64 MiB. The key is removed before that: half a key left at the end
    // would still leak.
    const text = shortened(withoutSecret(describe(error), apiKey));
    const code = codeOf(error, text);
    const unsent = code === 'BACKEND_UNAVAILABLE' && isUnsent(error, text);
    const overflow = code === 'CONTEXT_TOO_LONG';
    const contextTokens = overflow ? contextTokensIn(error, text) : undefined;
    const neededTokens = overflow ? neededTokensIn(error, text) : undefined;
    const details: ErrorDetails = {
      endpoint,
      ...waitOf(error),
      ...(unsent && { unsent }),
      ...(contextTokens !== undefined && { contextTokens }),
      ...(neededTokens !== undefined && { neededTokens }),
    };
    return new MillraceError(code, `${model} at ${endpoint}: ${text}`, details);
  };

/** A `MillraceError` thrown on purpose, including inside `fetch`, whose errors the client wraps. */
function ownOf(error: unknown): MillraceError | undefined {
  const thrown = error instanceof APIConnectionError ? error.cause : error;
  return thrown instanceof MillraceError ? thrown : undefined;
}

function codeOf(error: unknown, text: string): ErrorCode {
  if (error instanceof APIConnectionError && neverLeft(text)) return 'BACKEND_UNAVAILABLE';
  if (error instanceof APIConnectionTimeoutError) return 'BACKEND_TIMEOUT';
  if (error instanceof APIUserAbortError) return 'BACKEND_ERROR';
  if (error instanceof APIConnectionError) return /TIMEOUT/.test(text) ? 'BACKEND_TIMEOUT' : 'BACKEND_UNAVAILABLE';
  if (error instanceof APIError) {
    const status = error.status ?? statusIn(error);
    return status === undefined ? codeOfType(error, text) : codeOfStatus(status, error, text);
  }
  // Raised while the body is read: fetch's TypeError if the connection breaks, JSON.parse's error for invalid JSON.
  if (error instanceof SyntaxError) return 'INVALID_OUTPUT';
  if (error instanceof TypeError && /terminated|fetch failed/.test(error.message)) {
    return /TIMEOUT/.test(text) ? 'BACKEND_TIMEOUT' : 'BACKEND_UNAVAILABLE';
  }
  return 'INTERNAL';
}

/** No connection was made, or the answer comes from a server or proxy that is not ready. */
const isUnsent = (error: unknown, text: string): boolean =>
  error instanceof APIConnectionError
    ? neverLeft(text)
    : error instanceof APIError && error.status !== undefined && isNotReady(error.status, text);

/**
 * An error in mid-stream has no status of its own: the answer started with 200. vLLM and llama.cpp put the status into
 * `code`.
 */
function statusIn({ code }: APIError): number | undefined {
  const status = Number(code ?? Number.NaN);
  return status >= 400 && status < 600 ? status : undefined;
}

/** OpenAI and Ollama state only the type, if anything. */
function codeOfType(error: APIError, text: string): ErrorCode {
  const type = `${error.type ?? ''} ${error.code ?? ''}`;
  if (overflows(error, text)) return 'CONTEXT_TOO_LONG';
  if (/insufficient_quota/i.test(type) && PASSES.test(text)) return 'BACKEND_RATE_LIMITED';
  if (/insufficient_quota|invalid_request|BadRequest/i.test(type)) return 'BACKEND_REJECTED';
  if (/rate_limit/i.test(type)) return 'BACKEND_RATE_LIMITED';
  return /overloaded/i.test(type) || SHEDS_LOAD.test(text) ? 'BACKEND_OVERLOADED' : 'BACKEND_ERROR';
}

/**
 * What llama.cpp refuses with 500: an image for a model without vision, messages and tools that it cannot read, a grammar
 * beside a schema. The client puts the status before the text.
 */
const REFUSED_AS_500 =
  /not supported|does not support|^(?:500 )?(?:failed to parse (?:messages|tools):|cannot use both|'\w+' is required)/i;
const SHEDS_LOAD = /overload|capacity|busy|too many|rate limit/i;
/**
 * Of `insufficient_quota`, which mostly means an account without credit: Alibaba’s Model Studio says it of its limits per minute too, with
 * this part of its page on errors.
 */
const PASSES = /#token-limit\b|throttling/i;
/** Of a 404. OpenVINO Model Server calls an LLM a graph: `Mediapipe graph definition with requested name is not found`. */
const NAMES_MODEL = /model|\bgraph definition\b/i;
/** vLLM, llama.cpp and OpenAI use 404 for an unknown model; DeepSeek, LiteLLM and Triton’s frontend use 400. */
const NO_SUCH_MODEL = /model\b.*\b(not exist|not found)|invalid model name|unknown model:/i;

function codeOfStatus(status: number, error: APIError, text: string): ErrorCode {
  if (status < 502 && overflows(error, text)) return 'CONTEXT_TOO_LONG';
  switch (status) {
    case 400:
      return error.code === 'model_not_found' || NO_SUCH_MODEL.test(text) ? 'MODEL_NOT_FOUND' : 'BACKEND_REJECTED';
    case 401:
    case 403:
      return 'BACKEND_UNAUTHORIZED';
    case 404:
      // The same status is used for a missing route, e.g. embeddings at a chat server.
      return NAMES_MODEL.test(text) ? 'MODEL_NOT_FOUND' : 'BACKEND_REJECTED';
    case 408:
    case 504:
      return 'BACKEND_TIMEOUT';
    case 429:
      // An account without credit: waiting does not help, unlike with a rate limit.
      return error.code === 'insufficient_quota' && !PASSES.test(text) ? 'BACKEND_REJECTED' : 'BACKEND_RATE_LIMITED';
    case 500:
      return REFUSED_AS_500.test(text) ? 'BACKEND_REJECTED' : 'BACKEND_ERROR';
    case 501:
      return 'BACKEND_REJECTED';
    case 502:
      return 'BACKEND_UNAVAILABLE';
    case 503:
      // "Loading model" (llama.cpp), or a proxy without a server behind it; else a server that sheds load.
      return SHEDS_LOAD.test(text) ? 'BACKEND_OVERLOADED' : 'BACKEND_UNAVAILABLE';
    case 529:
      return 'BACKEND_OVERLOADED';
    default:
      // Includes redirects: they are not followed, and the next call would be redirected the same way.
      return status >= 300 && status < 500 ? 'BACKEND_REJECTED' : 'BACKEND_ERROR';
  }
}

/** Messages of wrapper errors: the client's and fetch's. */
const WRAPPERS = new Set(['Connection error.', 'fetch failed']);

/** The message, or that of the wrapped error: `connect ECONNREFUSED 127.0.0.1:7408`. */
function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const { code } = at as { code?: unknown };
    parts.push(typeof code === 'string' && !at.message.includes(code) ? `${at.message} (${code})` : at.message);
  }
  const specific = parts.filter((part) => !WRAPPERS.has(part));
  return (specific.length > 0 ? specific : [messageOf(error)]).join(': ');
}

/** Shorter keys are placeholders ("none") that occur in ordinary text. */
const SHORTEST_SECRET = 8;
const withoutSecret = (text: string, secret: string): string =>
  secret.length < SHORTEST_SECRET ? text : text.replaceAll(secret, '***');

function waitOf(error: unknown): { retryAfterMs?: number } {
  const ms = error instanceof APIError && error.headers ? retryAfterMs(error.headers, Date.now()) : undefined;
  return ms === undefined ? {} : { retryAfterMs: ms };
}
