import { limited } from '../../../runtime/limited.js';
import type { EndpointConfig, PoolConfig } from '../models.js';
import { type Discovery, MOST_ENDPOINTS } from './discovery.js';

/** Longest time of a search, in milliseconds. */
const LONGEST_MS = 10_000;

/** Searches once: endpoints with different URLs, maybe none. Throws if they cannot be told within 10 s. */
export async function search(
  discovery: Discovery,
  pool: PoolConfig,
  signal: AbortSignal,
): Promise<readonly EndpointConfig[]> {
  const all = await limited(LONGEST_MS, signal, (own) => discovery(pool, own));
  return [...new Map(all.map((each) => [each.url, each])).values()].slice(0, MOST_ENDPOINTS);
}
