import { createHash } from 'node:crypto';
import type { Endpoint } from './endpoint.js';

/**
 * Calls that an endpoint may have in flight above the least loaded one and still be preferred. What is gained, the prefix
 * of a prompt that need not be computed again, is worth a short wait behind a few calls and not behind many.
 */
const SLACK = 2;

/**
 * The endpoint for a key among those that have room. The key orders the endpoints by rendezvous hashing (Thaler and
 * Ravishankar, "Using name-based mappings to increase hit rates", 1998): each key has its own order, and an endpoint that
 * comes or goes moves only its own keys. The first in it that is not overloaded is taken: consistent hashing with bounded
 * loads (Mirrokni, Thorup and Zadimoghaddam, arXiv:1608.01350), the bound being the least load and a constant.
 *
 * @param usable the endpoints whose load counts: those with room, and full ones beside them
 */
export function byAffinity(key: string, usable: readonly Endpoint[], free: readonly Endpoint[]): Endpoint | undefined {
  const most = Math.min(...usable.map(({ load }) => load)) + SLACK;
  const ordered = free
    .map((endpoint) => ({ endpoint, weight: weightOf(key, endpoint.url) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ endpoint }) => endpoint);
  // Endpoints differ in how much they take: the least loaded may be full, and nobody within the bound free.
  return ordered.find(({ load }) => load <= most) ?? ordered[0];
}

const weightOf = (key: string, url: string): string => createHash('sha256').update(`${key}\n${url}`).digest('hex');
