import { createHash } from 'node:crypto';
import type { Endpoint } from './endpoint.js';

/**
 * Calls that the preferred endpoint may have in flight beyond the least loaded one. The gain, not recomputing a
 * prompt's prefix, is worth a short wait behind a few calls but not behind many.
 */
const SLACK = 2;

/**
 * The endpoint for a key among those with room. Endpoints are ordered by rendezvous hashing (Thaler and Ravishankar,
 * "Using name-based mappings to increase hit rates", 1998): each key has its own order, and adding or removing an
 * endpoint moves only its own keys. The first endpoint in this order that is not overloaded is taken: consistent hashing
 * with bounded loads (Mirrokni, Thorup and Zadimoghaddam, arXiv:1608.01350), where the bound is the least load plus a
 * constant.
 *
 * @param usable the endpoints whose load counts: those with room, and full ones beside them
 */
export function byAffinity(key: string, usable: readonly Endpoint[], free: readonly Endpoint[]): Endpoint | undefined {
  const most = mostLoad(usable);
  const ordered = free
    .map((endpoint) => ({ endpoint, weight: weightOf(key, endpoint.url) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ endpoint }) => endpoint);
  // Concurrency differs between endpoints: the least loaded one may be full, and none within the bound free.
  return ordered.find(({ load }) => load <= most) ?? ordered[0];
}

/**
 * The endpoint that knows most of a prompt's blocks among those with room, if it is not overloaded: the same bound as
 * above, so that a prefix that many prompts have in common spreads over endpoints as their load grows. Of those that know
 * as much, and where none is within the bound, the least loaded one.
 *
 * @param usable the endpoints whose load counts: those with room, and full ones beside them
 */
export function byPrefix(
  blocks: readonly string[],
  usable: readonly Endpoint[],
  free: readonly Endpoint[],
): Endpoint | undefined {
  const most = mostLoad(usable);
  const known = free
    .filter(({ load }) => load <= most)
    .map((endpoint) => ({ endpoint, length: endpoint.prefixes.longest(blocks) }));
  const longest = Math.max(...known.map(({ length }) => length));
  const best = known.filter(({ length }) => length === longest).map(({ endpoint }) => endpoint);
  return leastUsed(best.length > 0 ? best : free);
}

/** The endpoint with the least load, of several the one that has had no call for longest. */
export function leastUsed(endpoints: readonly Endpoint[]): Endpoint | undefined {
  const loads = endpoints.map((endpoint) => ({ endpoint, load: endpoint.load }));
  return loads.toSorted((a, b) => a.load - b.load || a.endpoint.usedAt - b.endpoint.usedAt)[0]?.endpoint;
}

const mostLoad = (usable: readonly Endpoint[]): number => Math.min(...usable.map(({ load }) => load)) + SLACK;

const weightOf = (key: string, url: string): string => createHash('sha256').update(`${key}\n${url}`).digest('hex');
