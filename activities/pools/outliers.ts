import type { Endpoint } from './endpoint.js';

/**
 * Standard errors between two rates of failure from which they differ: a hundred endpoints that all fail alike are told apart
 * by chance about once in two thousand comparisons.
 */
const LEAST_Z = 3.5;
/** A smaller difference of rates is not worth an endpoint. */
const LEAST_DIFFERENCE = 0.1;
/** Calls from which an endpoint is judged: one that has just come back is known for what it was. */
const LEAST_CALLS = { first: 3, again: 2 };
/** Calls from which an endpoint can be compared with. */
const LEAST_CALLS_OF_PEER = 3;

/**
 * Takes an endpoint out of its pool whose calls fail and those of another do not (outlier detection, as of Envoy): one that
 * fails at once always has the fewest calls in flight, and would be given them all. Where all fail alike none is taken out: the
 * fault is the model's, or the callers'. The last endpoint that takes calls is never taken out.
 *
 * @returns how long it stays out, in milliseconds; undefined where it stays in
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
