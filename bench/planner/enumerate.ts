import type { Candidate, Judge, Problem, Replica } from '../../placement/planner/index.js';

/**
 * The cheapest placement of an instance by enumeration: each set of devices from the cheapest, each configuration of
 * each pool, each set of pools on each device. Written separately, so that it shares only the judge with the planner.
 * Infinite if none meets the objective.
 */
export function enumeratedOptimum(problem: Problem, judge: Judge): number {
  for (const { candidate, cost } of enumerated(problem)) if (judge.holds(candidate)) return cost;
  return Number.POSITIVE_INFINITY;
}

/** Every placement, the cheapest devices first. Devices of a kind are equivalent, so only sorted arrangements are listed. */
export function* enumerated(problem: Problem): Generator<{ readonly candidate: Candidate; readonly cost: number }> {
  const { devices, pools } = problem;
  const sets = Array.from({ length: 2 ** devices.length - 1 }, (_, i) => i + 1)
    .map((mask) => devices.flatMap((_, d) => ((mask >> d) & 1 ? [d] : [])))
    .filter((set) => isFirstOfItsKinds(problem, set))
    .map((set) => ({ set, cost: set.reduce((sum, d) => sum + (devices[d]?.pricePerHour ?? 0), 0) }))
    .sort((a, b) => a.cost - b.cost);
  const all = 2 ** pools.length - 1;
  for (const { set, cost } of sets) {
    for (const configs of product(pools.map(({ configs: list }) => list.length))) {
      const masks = new Array<number>(set.length).fill(1);
      for (;;) {
        const candidate = arranged(problem, set, masks, configs, all);
        if (candidate) yield { candidate, cost };
        let at = masks.length - 1;
        while (at >= 0 && masks[at] === all) at -= 1;
        if (at < 0) break;
        masks[at] = (masks[at] ?? 0) + 1;
        masks.fill(1, at + 1);
      }
    }
  }
}

/** Of the sets that differ only in which devices of a kind they use, the first one. */
const isFirstOfItsKinds = ({ devices }: Problem, set: readonly number[]): boolean =>
  set.every((d) => devices.every((other, o) => o >= d || other.kind !== devices[d]?.kind || set.includes(o)));

function arranged(
  { devices, pools }: Problem,
  set: readonly number[],
  masks: readonly number[],
  configs: readonly number[],
  all: number,
): Candidate | undefined {
  let served = 0;
  const replicas: Replica[] = [];
  for (const [i, device] of set.entries()) {
    const mask = masks[i] ?? 0;
    for (let j = 0; j < i; j += 1) {
      if (devices[set[j] ?? 0]?.kind === devices[device]?.kind && (masks[j] ?? 0) > mask) return undefined;
    }
    served |= mask;
    for (let p = 0; p < pools.length; p += 1) if ((mask >> p) & 1) replicas.push({ pool: p, devices: [device] });
  }
  return served === all ? { configs, replicas } : undefined;
}

/** Every list of indexes below these counts. */
function product(counts: readonly number[]): readonly (readonly number[])[] {
  return counts.reduce<readonly (readonly number[])[]>(
    (lists, count) => lists.flatMap((list) => Array.from({ length: count }, (_, i) => [...list, i])),
    [[]],
  );
}
