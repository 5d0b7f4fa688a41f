import { searchCheapest } from '../../placement/planner/index.js';
import { type Instance, largeInstance } from './instances.js';

export interface SpeedRow {
  readonly stages: number;
  readonly kinds: number;
  readonly devices: number;
  /** Median over the seeds: wall clock, and CPU time, which does not depend on other load. */
  readonly ms: number;
  readonly cpuMs: number;
  /** Median excess of the placement over its lower bound, as a share. */
  readonly gap: number;
  /** Plans that were found. */
  readonly found: number;
  readonly of: number;
}

/** Sizes to place, with the time limit of each and the number of seeds. */
const SIZES: readonly (Omit<Instance, 'seed'> & { readonly limitMs: number; readonly seeds: number })[] = [
  { stages: 4, kinds: 3, devices: 8, limitMs: 2_000, seeds: 5 },
  { stages: 8, kinds: 3, devices: 16, limitMs: 2_000, seeds: 5 },
  { stages: 12, kinds: 3, devices: 32, limitMs: 2_000, seeds: 5 },
  { stages: 12, kinds: 3, devices: 64, limitMs: 2_000, seeds: 5 },
  { stages: 16, kinds: 4, devices: 250, limitMs: 15_000, seeds: 1 },
  { stages: 20, kinds: 4, devices: 1_000, limitMs: 30_000, seeds: 1 },
];

/**
 * Part of the limit reserved for what cannot be interrupted: the simulation in progress, and the final quality check.
 * On the largest instances one simulation takes about a second.
 */
const SAFE_SHARE = 0.75;

export function speed(log: (line: string) => void): readonly SpeedRow[] {
  return SIZES.map(({ limitMs, seeds, ...size }) => {
    const runs = Array.from({ length: seeds }, (_, i) => {
      const problem = largeInstance({ ...size, seed: 1_000 + i });
      const start = performance.now();
      const cpu = process.cpuUsage();
      const found = searchCheapest(problem, { timeLimitMs: limitMs * SAFE_SHARE, clock: () => performance.now() });
      const { user, system } = process.cpuUsage(cpu);
      return {
        ms: performance.now() - start,
        cpuMs: (user + system) / 1000,
        gap: found ? found.value / found.bound - 1 : Number.NaN,
      };
    });
    const median = (values: readonly number[]) => {
      const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
      return sorted[sorted.length >> 1] ?? -1;
    };
    const row = {
      ...size,
      ms: Math.round(median(runs.map(({ ms }) => ms))),
      cpuMs: Math.round(median(runs.map(({ cpuMs }) => cpuMs))),
      gap: Number(median(runs.map(({ gap }) => gap)).toFixed(4)),
      found: runs.filter(({ gap }) => !Number.isNaN(gap)).length,
      of: runs.length,
    };
    log(JSON.stringify(row));
    return row;
  });
}
