import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';

/** Reads of runs that count as one request: a request that starts a run makes as many calls to Temporal. */
const READS_A_REQUEST = 4;

/**
 * Counts the reading of runs that a request refers to as requests of its caller: each takes several calls to Temporal, which answers all
 * tenants together a limited number in a second. Throws `RATE_LIMITED`.
 * @param before reads of the same request that have been counted
 */
export async function chargeReads(
  { authenticator }: Pick<GatewayDeps, 'authenticator'>,
  caller: Caller,
  reads: number,
  before = 0,
): Promise<void> {
  const more = requestsOf(before + reads, caller) - requestsOf(before, caller);
  if (more > 0) await authenticator?.charge(caller, more);
}

/** With the request itself not more than may be made at once, which would be refused for ever. */
const requestsOf = (reads: number, { rate }: Caller): number =>
  Math.min(Math.ceil(reads / READS_A_REQUEST), rate ? rate.limit - 1 : Number.POSITIVE_INFINITY);
