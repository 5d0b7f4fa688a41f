import type { Endpoint } from './endpoint.js';

/**
 * Standard errors by which two failure rates must differ: of a hundred endpoints that fail alike, about one comparison
 * in two thousand exceeds it by chance.
 */
const LEAST_Z = 3.5;
/** A smaller difference of rates does not justify an ejection. */
const LEAST_DIFFERENCE = 0.1;
/** Minimum calls of an endpoint that is judged; fewer for one that was ejected before, because its history counts. */
const LEAST_CALLS = { first: 3, again: 2 };
/** Minimum calls of an endpoint to compare with. */
const LEAST_CALLS_OF_PEER = 3;

/**
 * Ejects an endpoint whose calls fail more than another's (outlier detection, as in Envoy): an endpoint that fails at once
 * always has the fewest calls in flight and would get them all. If all endpoints fail alike none is ejected: the cause is
 * the model or the callers. The last endpoint that accepts calls is never ejected.
 *
 * @returns how long it stays ejected, in milliseconds; undefined if it is not
 */
export function ejectOutlier(endpoint: Endpoint, all: readonly Endpoint[]): number | undefined {
  if (endpoint.isOut) return undefined;
  const peers = all.filter((peer) => peer !== endpoint && !peer.isOut && peer.availability !== 'away');
  const own = endpoint.outcomes.count;
  if (own.calls < (endpoint.wasOut ? LEAST_CALLS.again : LEAST_CALLS.first)) return undefined;
  const better = peers.some((peer) => {
    const theirs = peer.outcomes.count;
    return theirs.calls >= LEAST_CALLS_OF_PEER && failsMore(own, theirs);
  });
  return better ? endpoint.eject() : undefined;
}

type Count = Endpoint['outcomes']['count'];

/** Whether two rates differ by more than chance: the z-test of two proportions. */
function failsMore(one: Count, other: Count): boolean {
  const difference = one.failures / one.calls - other.failures / other.calls;
  const pooled = (one.failures + other.failures) / (one.calls + other.calls);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / one.calls + 1 / other.calls));
  return difference >= LEAST_DIFFERENCE && difference >= LEAST_Z * error;
}
