import type { EndpointConfig, PoolConfig } from '../models.js';

/**
 * Finds the endpoints of a pool now. Throws if it cannot tell: those found before then stay. None is a valid result.
 */
export type Discovery = (pool: PoolConfig, signal: AbortSignal) => Promise<readonly EndpointConfig[]>;

/** More addresses of a pool are taken for a mistake; also a bound for what a DNS server may answer. */
export const MOST_ENDPOINTS = 256;
