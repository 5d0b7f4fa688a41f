import type { ErrorCode } from '../../../pipelines/errors.js';
import { codeOfStatus, errorMapper, type HttpFault } from '../http-fault.js';
import { isNotReady } from '../unsent.js';

/**
 * What a failed call means. The protocol leaves the statuses to the server, so the words come first where they are known:
 * those of Triton 2.51, MLServer 1.7 and KServe 0.11. Older releases of Triton answer every error with 400.
 */
export const mapError = errorMapper(codeOf);

function codeOf(fault: HttpFault): ErrorCode {
  const { status, detail } = fault;
  // KServe says so of a model that it is loading.
  if (isNotReady(status, detail)) return 'BACKEND_UNAVAILABLE';
  if (NO_MODEL.test(detail)) return 'MODEL_NOT_FOUND';
  // The Python process behind a Triton model that still says READY is gone.
  if (/stub process .* is not healthy/i.test(detail)) return 'BACKEND_BROKEN';
  // A queue policy's limits in Triton: no room, or waited too long.
  if (/maximum queue size|request timeout expired/i.test(detail)) return 'BACKEND_OVERLOADED';
  // Triton takes a body that it cannot read for an error of its own.
  if (status === 500 && /(unable|failed) to parse|does not match true shape/i.test(detail)) return 'BACKEND_REJECTED';
  return codeOfStatus(fault);
}

/**
 * - Triton: `Request for unknown model: 'm' is not found`, `… has no available versions`, `Model version not ready`,
 *   `failed to load 'm', failed to poll from model repository`
 * - MLServer: `Model m not found`, `Model m is not ready yet.`
 * - KServe: `Model with name m does not exist.`, `Model with name m is not ready.`
 */
const NO_MODEL = new RegExp(
  [
    'request for unknown model',
    'no available versions',
    '^model version not ready',
    'failed to poll from model repository',
    '^model (with name )?\\S+ (with version \\S+ )?(is not ready|not found|does not exist)',
  ].join('|'),
  'i',
);
