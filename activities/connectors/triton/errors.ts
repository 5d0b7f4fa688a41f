import { status } from '@grpc/grpc-js';
import { type ErrorCode, MillraceError, messageOf } from '../../../pipelines/errors.js';
import { atEndpoint } from '../at-endpoint.js';
import type { MapError } from '../connector.js';
import { neverLeft } from '../unsent.js';

/**
 * What a failed gRPC call means (codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html). Triton's texts decide
 * where one code covers several cases; they are those of Triton 2.51.
 */
export const mapError: MapError = (error, { endpoint, model }) => {
  if (error instanceof MillraceError) return atEndpoint(error, { endpoint, model });
  const { code, details } = error as { code?: unknown; details?: unknown };
  const text = shorten(typeof details === 'string' && details !== '' ? details : messageOf(error));
  const means = codeOf(code, text);
  const unsent = means === 'BACKEND_UNAVAILABLE' && neverLeft(text);
  const about = { endpoint, ...(unsent && { unsent }) };
  return new MillraceError(means, `${model} at ${endpoint}: ${text}`, about, { cause: error });
};

/** Whether a failed repair says that no model can be loaded or unloaded here: Triton's control mode is not `explicit`. */
export const hasNoControl = (text: string): boolean => /explicit model load/i.test(text);

/**
 * An error in the middle of a stream has only a text: the header `triton_grpc_error`, which would give it a code, lets
 * Triton 2.51 crash when the model sends anything afterwards. The code is the one that a plain call fails with for the same
 * reason; what a model says in its own words is UNKNOWN, as an exception in it is.
 */
export function streamError(text: string): Error & { code: status; details: string } {
  const start = shorten(text);
  const [, code = status.UNKNOWN] = STREAM_TEXTS.find(([pattern]) => pattern.test(start)) ?? [];
  return Object.assign(new Error(text), { code, details: text });
}

/**
 * Texts that say that what computes is gone for every input: "Stub process '…' is not healthy" (the Python process behind a
 * model that still says READY), or a CUDA context that fails from then on. Memory that one input is too large for is not.
 */
const BROKEN = /stub process\b.*\bis (not |un)healthy|CUDA error(?!: out of memory)/i;

const STREAM_TEXTS: readonly (readonly [RegExp, status])[] = [
  [BROKEN, status.INTERNAL],
  [/maximum queue size|request timeout expired|unknown model|not ready|unload/i, status.UNAVAILABLE],
  // The server's own checks of a request, before the model sees it.
  [
    /(inference|unexpected|missing|duplicate).* (input|output|shape|datatype)|expected \d+ inputs/i,
    status.INVALID_ARGUMENT,
  ],
];

function codeOf(code: unknown, text: string): ErrorCode {
  if (typeof code !== 'number') return 'INTERNAL'; // not gRPC's: a bug of ours
  switch (code) {
    case status.UNAVAILABLE:
      // A queue policy's limits: no room, or waited too long.
      if (/maximum queue size|request timeout expired/i.test(text)) return 'BACKEND_OVERLOADED';
      if (hasNoControl(text)) return 'BACKEND_REJECTED';
      // Between an unload and the end of the load that follows.
      if (/unknown model|no available versions|not ready|unload/i.test(text)) return 'MODEL_NOT_FOUND';
      return 'BACKEND_UNAVAILABLE';
    case status.INTERNAL:
      // grpc-js's own words for a connection that broke in mid-answer and for an answer that is not protobuf.
      if (/RST_STREAM/.test(text)) return 'BACKEND_UNAVAILABLE';
      if (/parsing error/i.test(text)) return 'INVALID_OUTPUT';
      // An exception in a Python model's `execute`, and what ONNX Runtime, PyTorch and TensorRT say of one input, are INTERNAL
      // too: the call failed, the model lives. Unloading it would fail the calls of others.
      return BROKEN.test(text) ? 'BACKEND_BROKEN' : 'BACKEND_ERROR';
    case status.NOT_FOUND:
      return 'MODEL_NOT_FOUND';
    case status.INVALID_ARGUMENT:
    case status.OUT_OF_RANGE:
    case status.FAILED_PRECONDITION:
    case status.UNIMPLEMENTED:
      return 'BACKEND_REJECTED';
    case status.DEADLINE_EXCEEDED:
      return 'BACKEND_TIMEOUT';
    case status.RESOURCE_EXHAUSTED:
      // A message above our own limit fails the same way again; a server short of memory or slots does not.
      return /message larger than|size larger than/i.test(text) ? 'BACKEND_REJECTED' : 'BACKEND_OVERLOADED';
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return 'BACKEND_UNAUTHORIZED';
    default:
      return 'BACKEND_ERROR';
  }
}

/** Servers put whole tracebacks into an error's text; its start names the cause. */
const LONGEST_TEXT = 500;
const shorten = (text: string): string => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text);
