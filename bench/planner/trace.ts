import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Instance } from './instances.js';

export interface Asked extends Instance {
  /** Time limit of the search, in milliseconds of the processor. */
  readonly limitMs: number;
  readonly searchSeed: number;
}

export interface Traced {
  readonly cost: number;
  readonly bound: number;
  /** From the input to the placement, in milliseconds of the processor. */
  readonly cpuMs: number;
  /** Peak memory of the process. */
  readonly maxMiB: number;
}

export interface TraceRow extends Omit<Asked, 'searchSeed'> {
  /** One for each seed of the search. */
  readonly found: readonly Traced[];
  /** The dearest of these plans by the cheapest. */
  readonly apart: number;
}

/** Sizes to place, with the time limit of each: a twentieth is left for what cannot be interrupted. */
const SIZES = [
  { stages: 12, kinds: 3, devices: 64, limitMs: 4_750 },
  { stages: 20, kinds: 4, devices: 1_000, limitMs: 28_500 },
] as const;
const INSTANCES = [2_000, 2_001, 2_002];
const SEARCH_SEEDS = [1, 2];

const TRACED = fileURLToPath(new URL('./traced.js', import.meta.url));

/** Plans for loads of 19,366 requests as `millrace place` makes them, each in a process of its own: time, memory, and how far two seeds are apart. */
export const trace = (log: (line: string) => void): readonly TraceRow[] =>
  SIZES.flatMap((size) =>
    INSTANCES.map((seed) => {
      const found = SEARCH_SEEDS.map((searchSeed) => inProcess({ ...size, seed, searchSeed }));
      const costs = found.map(({ cost }) => cost);
      const row = { ...size, seed, found, apart: Math.max(...costs) / Math.min(...costs) };
      log(JSON.stringify(row));
      return row;
    }),
  );

const inProcess = (asked: Asked): Traced =>
  JSON.parse(execFileSync(process.execPath, [TRACED, JSON.stringify(asked)], { encoding: 'utf8' })) as Traced;
