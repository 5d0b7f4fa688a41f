import { status } from '@grpc/grpc-js';
import { type ErrorCode, MillraceError, messageOf } from '../../../pipelines/errors.js';
import { atEndpoint } from '../at-endpoint.js';
import type { MapError } from '../connector.js';
import { shortened } from '../http-fault.js';
import { neverLeft } from '../unsent.js';

/**
 * Maps a failed gRPC call to a code (statuses: https://grpc.github.io/grpc/core/md_doc_statuscodes.html). Triton's
 * texts decide where one status covers several cases; they are those of Triton 2.51 and MLServer 1.7.
 */
export const mapError: MapError = (error, { endpoint, model }) => {
  if (error instanceof MillraceError) return atEndpoint(error, { endpoint, model });
  const { code, details } = error as { code?: unknown; details?: unknown };
  const text = shortened(typeof details === 'string' && details !== '' ? details : messageOf(error));
  const means = codeOf(code, text);
  const unsent = means === 'BACKEND_UNAVAILABLE' && neverLeft(text);
  const about = { endpoint, ...(unsent && { unsent }) };
  return new MillraceError(means, `${model} at ${endpoint}: ${text}`, about, { cause: error });
};

/**
 * Whether a failed repair shows that this server cannot load or unload models: Triton's control mode is not `explicit`.
 */
export const hasNoControl = (text: string): boolean => /explicit model load/i.test(text);

/**
 * An error in mid-stream has only a text: the header `triton_grpc_error`, which would add a status, crashes Triton 2.51
 * if the model sends anything afterwards. The status chosen is the one that a plain call fails with for the same
 * reason; a model's own message is UNKNOWN, like an exception in the model.
 */
export function streamError(text: string): Error & { code: status; details: string } {
  const start = shortened(text);
  const [, code = status.UNKNOWN] = STREAM_TEXTS.find(([pattern]) => pattern.test(start)) ?? [];
  return Object.assign(new Error(text), { code, details: text });
}

/**
 * Texts that mean that the model fails for every input: "Stub process '…' is not healthy" (the Python process of a
 * model that still reports READY has died), or a broken CUDA context. Out of memory for one large input is not
 * included.
 */
const BROKEN = /stub process\b.*\bis (not |un)healthy|CUDA error(?!: out of memory)/i;

const STREAM_TEXTS: readonly (readonly [RegExp, status])[] = [
  [BROKEN, status.INTERNAL],
  [/maximum queue size|request timeout expired|unknown model|not ready|unload/i, status.UNAVAILABLE],
  // The server's own checks of a request, before the model runs.
  [
    /(inference|unexpected|missing|duplicate).* (input|output|shape|datatype)|expected \d+ inputs/i,
    status.INVALID_ARGUMENT,
  ],
];

/**
 * Texts of Triton and MLServer that mean something else than their status does: of a model that is not there, and of a request that the server
 * cannot read. A model's own message may have these words, but not such a beginning with this status.
 */
const WORDINGS: readonly (readonly [status, RegExp, ErrorCode])[] = [
  [status.INVALID_ARGUMENT, /^requested model '.*' is not available/, 'MODEL_NOT_FOUND'],
  [status.INTERNAL, /^failed to load '.*', failed to poll from model repository/, 'MODEL_NOT_FOUND'],
  [status.UNKNOWN, /^Unexpected <class 'mlserver\.errors\.ModelNotFound'>/, 'MODEL_NOT_FOUND'],
  [status.INTERNAL, /^unable to parse request$/i, 'BACKEND_REJECTED'],
  [status.NOT_FOUND, /^unable to find shared memory region/i, 'BACKEND_REJECTED'],
  [status.INTERNAL, /^'.*' is not a valid Datatype$/, 'BACKEND_REJECTED'],
  [status.UNKNOWN, /^Unexpected <class 'google\.protobuf\.message\.DecodeError'>/, 'BACKEND_REJECTED'],
];

function codeOf(code: unknown, text: string): ErrorCode {
  if (typeof code !== 'number') return 'INTERNAL'; // not a gRPC status: a bug in Millrace
  const worded = WORDINGS.find(([its, wording]) => its === code && wording.test(text));
  if (worded) return worded[2];
  switch (code) {
    case status.UNAVAILABLE:
      // A queue policy's limits: no room, or waited too long.
      if (/maximum queue size|request timeout expired/i.test(text)) return 'BACKEND_OVERLOADED';
      if (hasNoControl(text)) return 'BACKEND_REJECTED';
      // Between an unload and the end of the following load.
      if (/unknown model|no available versions|not ready|unload/i.test(text)) return 'MODEL_NOT_FOUND';
      return 'BACKEND_UNAVAILABLE';
    case status.INTERNAL:
      // grpc-js's texts for a connection that broke in mid-answer and for an answer that is not protobuf.
      if (/RST_STREAM/.test(text)) return 'BACKEND_UNAVAILABLE';
      if (/parsing error/i.test(text)) return 'INVALID_OUTPUT';
      // Exceptions in a Python model's `execute`, and errors of ONNX Runtime, PyTorch and TensorRT about one input, are
      // INTERNAL too: the call failed, the model still works. Unloading it would fail the calls of others.
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
      // A message above the client's own limit would fail again; a server short of memory or slots may recover.
      return /message larger than|size larger than/i.test(text) ? 'BACKEND_REJECTED' : 'BACKEND_OVERLOADED';
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return 'BACKEND_UNAUTHORIZED';
    default:
      return 'BACKEND_ERROR';
  }
}
