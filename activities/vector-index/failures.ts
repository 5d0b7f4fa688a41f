import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isFull, isGone, lacksVectorSets } from '../../stores/redis/index.js';

/**
 * Maps a failed Redis command to the error of an index. Unlike a cache, an index cannot be bypassed: an unreachable
 * Redis is `STORE_UNAVAILABLE`, for which the stage waits, a full one `STORE_FULL`, and one without vector sets
 * `INDEX_UNSUPPORTED`.
 *
 * @param server name and version of the server, `Redis 7.4.1`
 */
export function indexFailure(thrown: unknown, server: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  // A rejected transaction has the code EXECABORT and carries the reason separately.
  const error = (thrown as { previousErrors?: readonly unknown[] }).previousErrors?.[0] ?? thrown;
  if (lacksVectorSets(error)) {
    return new MillraceError(
      'INDEX_UNSUPPORTED',
      `a vector index needs the vector sets of Redis 8 or later (VADD, VSIM, VREM), which ${server} lacks or forbids: ${messageOf(error)}`,
      {},
      { cause: error },
    );
  }
  if (isFull(error)) {
    return new MillraceError(
      'STORE_FULL',
      'the Redis of the vector index is at its memory limit (maxmemory); delete indexes (millrace index delete) or raise the limit',
      {},
      { cause: error },
    );
  }
  return new MillraceError(
    'STORE_UNAVAILABLE',
    `the Redis of the vector index failed: ${publicMessage(messageOf(error))}`,
    isGone(error) ? { unreached: true } : {},
    { cause: error },
  );
}

/** Replaces the client's internal messages about a missing connection. */
const publicMessage = (message: string): string =>
  /enableOfflineQueue|Connection is closed|max retries per request/i.test(message) ? 'it is unreachable' : message;
