import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isFull, lacksVectorSets } from '../../stores/redis/index.js';

/**
 * What a failed Redis command means for an index. An index is no cache: nothing can be served without it, so an absent
 * Redis is `STORE_UNAVAILABLE`, for the stage's policy to try again, a full one `STORE_FULL`, and one without vector sets
 * `INDEX_UNSUPPORTED`.
 *
 * @param server the server in words, `Redis 7.4.1`
 */
export function indexFailure(thrown: unknown, server: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  // A transaction that was refused says so (EXECABORT) and has the reason beside it.
  const error = (thrown as { previousErrors?: readonly unknown[] }).previousErrors?.[0] ?? thrown;
  if (lacksVectorSets(error)) {
    return new MillraceError(
      'INDEX_UNSUPPORTED',
      `a vector index needs the vector sets of Redis 8 or later (VADD, VSIM), which ${server} lacks or forbids: ${messageOf(error)}`,
      {},
      { cause: error },
    );
  }
  if (isFull(error)) {
    return new MillraceError(
      'STORE_FULL',
      'the Redis of the vector index is at its memory limit (maxmemory); delete indices or raise the limit',
      {},
      { cause: error },
    );
  }
  return new MillraceError(
    'STORE_UNAVAILABLE',
    `the Redis of the vector index failed: ${told(messageOf(error))}`,
    {},
    { cause: error },
  );
}

/** What the client says while there is no connection means little to who does not know the client. */
const told = (message: string): string =>
  /enableOfflineQueue|Connection is closed|max retries per request/i.test(message) ? 'it cannot be reached' : message;
