import { MillraceError } from '../pipelines/errors.js';

/**
 * How many workers in a row may be lost while one call is under way in them, before the call is taken for the cause. A worker
 * that is killed for another reason counts as well, one that is asked to end does not.
 */
export const MOST_LOSSES = 2;

export const workerLost = () =>
  new MillraceError(
    'WORKER_LOST',
    `${MOST_LOSSES} workers in a row were lost while they ran it; it is not called again`,
  );
