import type { Monotone } from './monotone.js';

/** Plans of one run compared with those of another, of the same pairs. */
export interface Against {
  /** Plans that both found. */
  readonly plans: number;
  readonly cheaper: number;
  readonly dearer: number;
  /** Sum of the costs, as a share of that of the other run's plans. */
  readonly cost: number;
  /** Largest excess over the other run's plan, as a share. */
  readonly worst: number;
  /** Plans that the other run alone found, and that this one alone found. */
  readonly lost: number;
  readonly gained: number;
}

/** Costs as JSON has them: null for an infinite one. */
type Read = readonly (readonly (number | null)[])[];

/** Whether a search finds cheaper plans than another did. */
export function compared({ costs }: Pick<Monotone, 'costs'>, before: { readonly costs: Read }): Against {
  const finite = (cost: number | null | undefined): number => cost ?? Number.POSITIVE_INFINITY;
  const all = costs.flatMap((pair, i) => pair.map((cost, j) => [cost, finite(before.costs[i]?.[j])] as const));
  const both = all.filter(([now, then]) => Number.isFinite(now) && Number.isFinite(then));
  const sum = (which: 0 | 1) => both.reduce((total, plan) => total + plan[which], 0);
  return {
    plans: both.length,
    cheaper: both.filter(([now, then]) => now < then * (1 - 1e-9)).length,
    dearer: both.filter(([now, then]) => now > then * (1 + 1e-9)).length,
    cost: Number((sum(0) / sum(1)).toFixed(4)),
    worst: Number(Math.max(0, ...both.map(([now, then]) => now / then - 1)).toFixed(4)),
    lost: all.filter(([now, then]) => !Number.isFinite(now) && Number.isFinite(then)).length,
    gained: all.filter(([now, then]) => Number.isFinite(now) && !Number.isFinite(then)).length,
  };
}
