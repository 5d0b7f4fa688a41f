import type { PlacementDocument } from '../document/index.js';
import type { Objective } from '../planner/index.js';

/** The objective that a placement was made for. */
export function objectiveOf({ slo }: PlacementDocument): Objective {
  const { p95Ms, p99Ms, stages, goodput, worstMinute, errorBudget } = slo;
  const named = stages?.map(({ percentile, ...each }) => ({ ...each, share: percentile / 100 }));
  return { p95Ms, p99Ms, ...(named && { stages: named }), goodput, worstMinute, errorBudget };
}
