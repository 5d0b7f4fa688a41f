import type { SimulationResult } from '../simulator/index.js';
import type { Candidate } from './candidate.js';
import type { Problem } from './problem.js';

/** Milliseconds to move the cache of an average prompt, over all pairs of replicas: the least, and the mean. */
export function transfersOf({ pools, simulated }: Problem, { replicas }: Candidate, p: number) {
  const to = pools[p]?.handsTo;
  const on = (pool: number | undefined) =>
    replicas.flatMap((replica) => (replica.pool === pool ? replica.devices.slice(0, 1) : []));
  const [senders, receivers] = [on(p), on(to?.pool)];
  let leastMs = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (const a of senders) {
    for (const b of receivers) {
      const ms = simulated.transferMs(a, b, (to?.meanTokens ?? 0) * (to?.tokenBytes ?? 0));
      leastMs = Math.min(leastMs, ms);
      sum += ms;
    }
  }
  const pairs = senders.length * receivers.length;
  return { leastMs: pairs > 0 ? leastMs : 0, meanMs: pairs > 0 ? sum / pairs : 0, senders, receivers };
}

/**
 * Load of the busiest links of a candidate as a share of their capacity. A device moves one cache at a time, and every transfer
 * occupies a sender and a receiver: no more run at once than there are of the fewer.
 */
export function linkLoad(problem: Problem, candidate: Candidate): number {
  let most = 0;
  for (const [p, { handsTo }] of problem.pools.entries()) {
    if (handsTo === undefined) continue;
    const { leastMs, senders, receivers } = transfersOf(problem, candidate, p);
    const atOnce = Math.min(new Set(senders).size, new Set(receivers).size);
    if (atOnce > 0) most = Math.max(most, (handsTo.callsPerSecond * leastMs) / (1000 * atOnce));
  }
  return most;
}

/**
 * By pool, how long a run spends there: the waits of its calls twice, as they are what a replica more shortens, and the
 * service. Of a model served apart, each part has its own.
 */
export function timesAt({ pools, stages }: Problem, { stages: seen, handovers }: SimulationResult): number[] {
  return pools.map(({ handsTo }, p) =>
    stages.reduce((sum, { pool }, v) => {
      const stage = seen[v];
      if (stage === undefined || pool !== (handsTo?.pool ?? p)) return sum;
      const handover = handovers?.[v];
      if (handover === undefined) return sum + (handsTo ? 0 : 2 * stage.meanWaitMs + stage.meanServiceMs);
      const { prefillMs, waitMs } = handover;
      if (handsTo) return sum + 2 * stage.meanWaitMs + prefillMs;
      return sum + 2 * waitMs + Math.max(0, stage.meanServiceMs - prefillMs - waitMs);
    }, 0),
  );
}
