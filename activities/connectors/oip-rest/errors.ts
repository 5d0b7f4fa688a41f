import type { ErrorCode } from '../../../pipelines/errors.js';
import { codeOfStatus, errorMapper, type HttpFault } from '../http-fault.js';
import { isNotReady } from '../unsent.js';

/**
 * Maps a failed call to a code. The protocol leaves statuses to the server, so known wording is checked first: that of
 * Triton 2.51, MLServer 1.7 and KServe 0.11. Older releases of Triton answer every error with 400.
 */
export const mapError = errorMapper(codeOf);

function codeOf(fault: HttpFault): ErrorCode {
  const { status, detail } = fault;
  // KServe's wording for a model that is loading.
  if (isNotReady(status, detail)) return 'BACKEND_UNAVAILABLE';
  const isOwn = OF_MODEL.test(detail);
  if (!isOwn && NO_MODEL.test(detail)) return 'MODEL_NOT_FOUND';
  // The Python process of a Triton model has died while the model still reports READY.
  if (/stub process .* is not healthy/i.test(detail)) return 'BACKEND_BROKEN';
  // Triton's queue policy: no room, or waited too long.
  if (/maximum queue size|request timeout expired/i.test(detail)) return 'BACKEND_OVERLOADED';
  // Triton reports an unreadable body as a server error.
  if (status === 500 && !isOwn && UNREADABLE.test(detail)) return 'BACKEND_REJECTED';
  return codeOfStatus(fault);
}

/** Triton repeats what a Python model has thrown, which may be about another model or a text that it reads. */
const OF_MODEL = /^failed to process the request\(s\) for model /i;
const UNREADABLE = /(unable|failed) to parse|does not match true shape|^failed to get request params/i;

/**
 * - Triton: `Request for unknown model: 'm' is not found`, `… has no available versions`, `Model version not ready`,
 *   `failed to load 'm', failed to poll from model repository`
 * - MLServer: `Model m not found`, `Model m is not ready yet.`
 * - KServe: `Model with name m does not exist.`, `Model with name m is not ready.`
 * - OpenVINO Model Server: `Model with requested name is not found`, `… version is not loaded yet`, `… version is retired`
 */
const NO_MODEL = new RegExp(
  [
    'request for unknown model',
    'no available versions',
    '^model version not ready',
    'failed to poll from model repository',
    '^model with requested (name|version) ',
    '^model (with name )?\\S+ (with version \\S+ )?(is not ready|not found|does not exist)',
  ].join('|'),
  'i',
);
