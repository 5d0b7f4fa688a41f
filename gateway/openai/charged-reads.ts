import type { Caller } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';

/** Reads of runs that count as one request: a request that starts a run makes as many calls to Temporal. */
const READS_A_REQUEST = 4;

/**
 * Counts the reading of runs that a request refers to as requests of its caller: each takes several calls to Temporal, which answers all
 * tenants together a limited number in a second. Throws `RATE_LIMITED`.
 */
export async function chargeReads(
  { authenticator }: Pick<GatewayDeps, 'authenticator'>,
  caller: Caller,
  reads: number,
): Promise<void> {
  const requests = Math.ceil(reads / READS_A_REQUEST);
  // More than may be made at once would be refused for ever.
  await authenticator?.charge(caller, Math.min(requests, caller.rate?.limit ?? requests));
}
