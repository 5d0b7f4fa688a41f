import type { EndpointConfig, PoolConfig } from '../models.js';

/**
 * Finds the endpoints that a pool has now: those of its configuration, or those that its `discover` finds, which may be
 * none. Throws `BACKEND_UNAVAILABLE` if the search fails or takes longer than 10 s, and the signal's reason.
 */
export type FindEndpoints = (name: string, pool: PoolConfig, signal: AbortSignal) => Promise<readonly EndpointConfig[]>;

/**
 * The pool with endpoints whose addresses last: those of its configuration, or those that the file of `discover` lists
 * now. With one of them alone, as `{ ...pool, endpoints: [one] }`, `find` returns its servers. Throws as `find`.
 */
export const listed = async (
  name: string,
  pool: PoolConfig,
  find: FindEndpoints,
  signal: AbortSignal,
): Promise<PoolConfig> =>
  typeof pool.discover === 'object'
    ? { ...pool, discover: undefined, endpoints: [...(await find(name, pool, signal))] }
    : pool;
