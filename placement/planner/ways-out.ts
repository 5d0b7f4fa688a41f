import { rateOf } from '../simulator/index.js';
import { buildProblem, type PlannerInput } from './build-problem.js';
import { costOf } from './candidate.js';
import { firstDrafts } from './improve.js';
import { Judge } from './judge.js';
import { withMoreDevices } from './more-devices.js';
import type { Problem } from './problem.js';
import { fastestPlacement } from './rate.js';
import { shedShare } from './shed.js';

/** Changes that would make an infeasible load feasible. */
export interface WaysOut {
  /** Highest rate, in runs per second, of these devices within the objective; 0: none. */
  readonly ratePerSecond: number;
  /** 99th percentile of the fastest placement at the full load; undefined if its queues grow without bound. */
  readonly p99Ms?: number;
  /** Share of the runs to refuse on it; 1: refusing does not help. */
  readonly shedShare: number;
  /** Devices to add, cheapest way first. */
  readonly devices: readonly { readonly kind: string; readonly count: number; readonly pricePerHour: number }[];
}

/** Most devices of a kind to try. */
const COUNTS = [1, 2, 4, 8, 16, 32];

/** @param within whether less than this share of the time has passed */
export function waysOut(input: PlannerInput, problem: Problem, within: (share: number) => boolean): WaysOut {
  const goOn = () => within(1);
  const judge = new Judge(problem);
  const fastest = fastestPlacement(
    problem,
    judge,
    () => [],
    () => within(0.4),
  );
  const at = fastest && judge.see(fastest.candidate);
  const refused = fastest && at ? shedShare(judge, fastest.candidate, at, {}, () => within(0.6)) : 1;
  const devices = problem.kinds.flatMap((kind) => {
    for (const count of COUNTS) {
      const inventory = withMoreDevices(input.inventory, kind, count);
      if (inventory === undefined || !goOn()) return [];
      const larger = buildProblem({ ...input, inventory });
      const [draft] = firstDrafts(larger, new Judge(larger), goOn);
      if (draft === undefined) continue;
      const { pricePerHour = 0 } = inventory.devices.at(-1) ?? {};
      return [{ kind, count, pricePerHour: pricePerHour * count, total: costOf(larger, draft) }];
    }
    return [];
  });
  return {
    ratePerSecond: (fastest?.speed ?? 0) * rateOf(problem.load),
    ...(at && Number.isFinite(at.p99Ms) && { p99Ms: at.p99Ms }),
    shedShare: refused,
    devices: devices
      .sort((a, b) => a.pricePerHour - b.pricePerHour)
      .map(({ kind, count, pricePerHour }) => ({ kind, count, pricePerHour })),
  };
}
