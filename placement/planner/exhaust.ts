import type { Candidate, Replica } from './candidate.js';
import type { Judge } from './judge.js';
import type { LowerBound } from './lower-bound.js';
import type { Problem } from './problem.js';
import { minimise } from './simplex.js';

/** Result of searching all placements below a cost. */
export interface Exhausted {
  /** The cheapest one that meets the objective, if found. */
  readonly found?: Candidate;
  /** No cheaper placement meets it. */
  readonly refutedBelow: number;
  /** Everything below the given cost was tried. */
  readonly complete: boolean;
}

/** Most device choices to examine; a cluster with more is too large for an exhaustive search. */
const MOST_CHOICES = 20_000;

/** Most assignments, of one device choice or of all; more cannot be tried in the time of a search. */
export const MOST_ASSIGNMENTS = 400_000;

/** An upper estimate of the number of assignments of a device choice. */
function assignmentsAtMost({ pools, cells }: Problem, counts: readonly number[]): number {
  return counts.reduce((product, n, c) => {
    const choices = (cells[c]?.concurrency ?? 1) > 1 ? 3 : 2;
    // Multisets of n sets of pools.
    const sets = choices ** pools.length - 1;
    let ways = 1;
    for (let i = 0; i < n; i += 1) ways = (ways * (sets + i)) / (i + 1);
    return product * ways;
  }, 1);
}

/** Assignments that a part of a search's time suffices for. */
const MOST_OF_SMALL = 4_000;

/** Whether a pool batches continuously. */
export const hasLlm = ({ pools }: Problem): boolean =>
  pools.some(({ configs }) => configs.some(({ batching }) => batching === 'continuous'));

/**
 * Whether there are so few assignments of pools to devices between a bound and a cost that all are worth trying first. Batch limits
 * hardly count, since one simulation tells of several, but with an LLM it does not: each limit is simulated.
 */
export function areFew(problem: Problem, least: number, below: number, most = MOST_OF_SMALL): boolean {
  if (hasLlm(problem)) return false;
  const variants = problem.pools.reduce((n, { configs }) => n * new Set(configs.map(({ variant }) => variant)).size, 1);
  let all = 0;
  for (const { counts, cost } of choicesBelow(problem, below) ?? []) {
    if (cost >= least - 1e-9) all += assignmentsAtMost(problem, counts) * variants;
    if (all > most) return false;
  }
  return all > 0;
}

/**
 * Tries every placement that costs less than `below`, cheapest devices first, until one meets the objective or `goOn`
 * returns false. Device choices and assignments on which the load cannot be balanced, or that the lower bound's cuts
 * exclude, are not simulated.
 */
export function exhaust(
  problem: Problem,
  judge: Judge,
  lower: LowerBound,
  below: number,
  goOn: () => boolean,
): Exhausted {
  const choices = choicesBelow(problem, below);
  if (choices === undefined) return { refutedBelow: 0, complete: false };
  // Below this cost everything was tried; several replicas on a device are tried as one and as all only.
  let complete = Number.POSITIVE_INFINITY;
  for (const { counts, cost } of choices) {
    if (cost < lower.value * (1 - 1e-6) - 1e-9) continue;
    if (!goOn()) return { refutedBelow: Math.min(cost, complete), complete: false };
    if (isRefuted(problem, lower, counts, goOn)) continue;
    if (assignmentsAtMost(problem, counts) > MOST_ASSIGNMENTS)
      return { refutedBelow: Math.min(cost, complete), complete: false };
    for (const candidate of placementsOn(problem, counts, lower)) {
      if (candidate && judge.holds(candidate)) {
        return { found: candidate, refutedBelow: Math.min(cost, complete), complete: complete >= cost };
      }
      if (!goOn()) return { refutedBelow: Math.min(cost, complete), complete: false };
    }
    if (counts.some((n, c) => n > 0 && (problem.cells[c]?.concurrency ?? 1) > 2)) complete = Math.min(complete, cost);
  }
  return { refutedBelow: Math.min(below, complete), complete: complete === Number.POSITIVE_INFINITY };
}

/**
 * A placement that meets the objective, on the dearest devices first, since those that carry the most are among them. Undefined if none has been
 * found when `goOn` returns false.
 */
export function anyThatHolds(
  problem: Problem,
  judge: Judge,
  lower: LowerBound,
  goOn: () => boolean,
): Candidate | undefined {
  for (const { counts } of choicesBelow(problem, Number.POSITIVE_INFINITY)?.toReversed() ?? []) {
    if (!goOn()) return undefined;
    if (isRefuted(problem, lower, counts, goOn) || assignmentsAtMost(problem, counts) > MOST_ASSIGNMENTS) continue;
    for (const candidate of placementsOn(problem, counts, lower)) {
      if (candidate && judge.holds(candidate)) return candidate;
      if (!goOn()) return undefined;
    }
  }
  return undefined;
}

/**
 * A cost below which no devices carry the load in time, however their calls are assigned, batched and ordered: nothing is
 * simulated, so that it also holds for placements whose batches wait. At most `below`.
 */
export function refutedBelow(problem: Problem, lower: LowerBound, below: number, goOn: () => boolean): number {
  const choices = choicesBelow(problem, below);
  if (choices === undefined) return lower.value;
  for (const { counts, cost } of choices) {
    if (cost < lower.value * (1 - 1e-6) - 1e-9) continue;
    if (!goOn() || !isRefuted(problem, lower, counts, goOn)) return Math.max(lower.value, cost);
  }
  return Math.max(lower.value, below);
}

/** Whether no assignment to these devices carries the load in time. */
function isRefuted(problem: Problem, lower: LowerBound, counts: readonly number[], goOn: () => boolean): boolean {
  const atOnce = problem.kinds.map(() => 0);
  for (const [c, { kind, capacity }] of problem.cells.entries()) {
    atOnce[kind] = (atOnce[kind] ?? 0) + capacity * (counts[c] ?? 0);
  }
  return !balanceable(problem, counts) || lower.refutes(atOnce, goOn);
}

interface Choice {
  /** Devices of each cell. */
  readonly counts: readonly number[];
  readonly cost: number;
}

/** Numbers of devices of each cell that cost less, ascending; undefined if there are too many. */
function choicesBelow({ cells }: Problem, below: number): readonly Choice[] | undefined {
  let choices: Choice[] = [{ counts: [], cost: 0 }];
  for (const { devices, pricePerHour } of cells) {
    choices = choices.flatMap(({ counts, cost }) =>
      Array.from({ length: devices.length + 1 }, (_, n) => ({ counts: [...counts, n], cost: cost + n * pricePerHour })),
    );
    choices = choices.filter(({ cost }) => cost < below - 1e-9);
    if (choices.length > MOST_CHOICES) return undefined;
  }
  const devices = ({ counts }: Choice) => counts.reduce((sum, n) => sum + n, 0);
  return choices.filter((choice) => devices(choice) > 0).sort((a, b) => a.cost - b.cost || devices(a) - devices(b));
}

/** Whether the load, in the largest batches, could be split over these devices in any fractions. */
function balanceable({ pools, cells }: Problem, counts: readonly number[]): boolean {
  const columns = pools.flatMap(({ configs }, pool) =>
    cells.flatMap(({ kind, memoryBytes }, cell) => {
      if ((counts[cell] ?? 0) === 0) return [];
      const erlangs = configs.flatMap(({ uses }) => {
        const use = uses[kind];
        return use && use.memoryBytes <= memoryBytes && use.width <= (counts[cell] ?? 0)
          ? [use.erlangs * use.width]
          : [];
      });
      return erlangs.length > 0 ? [{ pool, cell, erlangs: Math.min(...erlangs) }] : [];
    }),
  );
  const share = columns.length;
  const solution = minimise(
    [...columns.map(() => 0), 1],
    [
      ...pools.map((_, p) => ({
        terms: columns.flatMap(({ pool }, c) => (pool === p ? [[c, 1] as const] : [])),
        is: 'equal' as const,
        bound: 1,
      })),
      ...cells.map(({ capacity }, k) => ({
        terms: [
          ...columns.flatMap(({ cell, erlangs }, c) => (cell === k ? [[c, erlangs] as const] : [])),
          [share, -capacity * (counts[k] ?? 0)] as const,
        ],
        is: 'atMost' as const,
        bound: 0,
      })),
    ],
  );
  return solution !== undefined && solution.value < 1 - 1e-9;
}

/** Assignments that are passed over between two looks at the clock. */
const MOST_PASSED = 1_000;

/**
 * Every way to serve all pools on exactly these devices; devices of a cell are equivalent. Undefined for an assignment
 * that is excluded, and now and then while others are passed over: the caller may look at the clock.
 */
function* placementsOn(
  problem: Problem,
  counts: readonly number[],
  lower: LowerBound,
): Generator<Candidate | undefined> {
  let passed = 0;
  // Assignments depend on the widths and the memory of configurations alone: those of equal ones are tried together.
  for (const alike of choicesOf(problem.pools.map((_, p) => alikeOf(problem, p)))) {
    // The smallest batches need the least memory; the judge refuses what does not fit.
    const least = alike.map((configs) => configs.at(-1) ?? 0);
    for (const replicas of replicasOn(problem, least, counts, 0)) {
      if (!problem.pools.every((_, p) => replicas.some(({ pool }) => pool === p))) {
        passed += 1;
        if (passed % MOST_PASSED === 0) yield undefined;
        continue;
      }
      if (lower.excludes(replicas)) {
        yield undefined;
        continue;
      }
      for (const configs of choicesOf(alike)) yield { configs, replicas };
    }
    passed += 1;
    if (passed % MOST_PASSED === 0) yield undefined;
  }
}

/** A pool's configurations, largest batches first because they serve the most load; those that assign alike together. */
function alikeOf(problem: Problem, pool: number): readonly (readonly number[])[] {
  const alike = new Map<string, number[]>();
  for (let config = (problem.pools[pool]?.configs.length ?? 0) - 1; config >= 0; config -= 1) {
    const key = shapeOf(problem, pool, config);
    alike.set(key, [...(alike.get(key) ?? []), config]);
  }
  return [...alike.values()];
}

/** What assignments depend on: the variant, and the width on each kind. */
function shapeOf({ pools }: Problem, pool: number, config: number): string {
  const { variant = '', uses = [] } = pools[pool]?.configs[config] ?? {};
  return `${variant} ${uses.map((use) => use?.width ?? 0).join()}`;
}

/** Every choice of one of each: listed one at a time, since there may be billions. */
function* choicesOf<T>(lists: readonly (readonly T[])[], from = 0): Generator<readonly T[]> {
  const list = lists[from];
  if (list === undefined) {
    yield [];
    return;
  }
  for (const first of list) {
    for (const rest of choicesOf(lists, from + 1)) yield [first, ...rest];
  }
}

function* replicasOn(
  problem: Problem,
  configs: readonly number[],
  counts: readonly number[],
  from: number,
): Generator<readonly Replica[]> {
  const cell = problem.cells[from];
  if (cell === undefined) {
    yield [];
    return;
  }
  const devices = cell.devices.slice(0, counts[from] ?? 0);
  const groups = widthsOn(problem, configs, cell.kind).flatMap((width) =>
    setsOn(problem, configs, from, width).map((pools) => ({ width, pools })),
  );
  for (const here of fillings(groups, devices, cell.sharing === 'time-sliced' && cell.slowdown === 1, 0)) {
    for (const rest of replicasOn(problem, configs, counts, from + 1)) yield [...here, ...rest];
  }
}

/** Pools whose replicas span as many devices, and share them. */
interface Group {
  readonly width: number;
  readonly pools: readonly number[];
}

/** How many devices replicas span on a kind, descending; one in any case. */
function widthsOn({ pools }: Problem, configs: readonly number[], kind: number): readonly number[] {
  const all = pools.map((pool, p) => pool.configs[configs[p] ?? 0]?.uses[kind]?.width ?? 1);
  return [...new Set([...all, 1])].sort((a, b) => b - a);
}

/**
 * Every way to use all of a cell's devices: groups of replicas that span several first, then sets of pools on the others.
 *
 * @param mayNest replicas that span fewer devices may be on those of a group as well (`mayOverlap`)
 */
function* fillings(
  groups: readonly Group[],
  devices: readonly number[],
  mayNest: boolean,
  from: number,
): Generator<readonly Replica[]> {
  if (devices.length === 0) yield [];
  for (let g = from; g < groups.length; g += 1) {
    const { width, pools } = groups[g] as Group;
    if (width > devices.length) continue;
    const span = devices.slice(0, width);
    const here = pools.map((pool) => ({ pool, devices: span }));
    const narrower = mayNest ? groups.filter((other) => other.width < width) : [];
    for (const inside of nested(narrower, span, 0)) {
      for (const rest of fillings(groups, devices.slice(width), mayNest, g)) yield [...here, ...inside, ...rest];
    }
  }
}

/** Every way to put groups on some of these devices, on none included. */
function* nested(groups: readonly Group[], devices: readonly number[], from: number): Generator<readonly Replica[]> {
  yield [];
  for (let g = from; g < groups.length; g += 1) {
    const { width, pools } = groups[g] as Group;
    if (width > devices.length) continue;
    const span = devices.slice(0, width);
    const here = pools.map((pool) => ({ pool, devices: span }));
    const narrower = groups.filter((other) => other.width < width);
    for (const inside of nested(narrower, span, 0)) {
      for (const rest of nested(groups, devices.slice(width), g)) yield [...here, ...inside, ...rest];
    }
  }
}

/** The sets of pools (one index per replica) with replicas of this width that fit devices of a cell together. */
function setsOn(
  problem: Problem,
  configs: readonly number[],
  cell: number,
  width: number,
): readonly (readonly number[])[] {
  const own = problem.cells[cell];
  if (own === undefined) return [];
  const { kind, memoryBytes, concurrency, sharing } = own;
  let sets: { readonly pools: readonly number[]; readonly bytes: number }[] = [{ pools: [], bytes: 0 }];
  for (const [pool, config] of configs.entries()) {
    const use = problem.pools[pool]?.configs[config]?.uses[kind];
    if (!use || use.width !== width) continue;
    const times = concurrency > 1 ? [0, 1, concurrency] : [0, 1];
    sets = sets.flatMap(({ pools, bytes }) =>
      times.map((n) => ({ pools: [...pools, ...new Array<number>(n).fill(pool)], bytes: bytes + n * use.memoryBytes })),
    );
    sets = sets.filter(({ bytes }) => bytes <= memoryBytes);
  }
  return sets.flatMap(({ pools }) =>
    pools.length > 0 && (sharing !== 'exclusive' || pools.length === 1) ? [pools] : [],
  );
}
