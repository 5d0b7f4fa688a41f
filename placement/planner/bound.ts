import type { Cut } from './cuts.js';
import type { Config, Problem, Use } from './problem.js';
import { type Constraint, minimise } from './simplex.js';

/** Devices of one kind and price, on any node. */
interface Class {
  readonly kind: number;
  readonly pricePerHour: number;
  readonly capacity: number;
  readonly memoryBytes: number;
  readonly count: number;
}

/** A way to serve a pool that no other of the same class beats in both time and memory. */
interface Column {
  readonly pool: number;
  readonly class: number;
  readonly erlangs: number;
  readonly bytes: number;
}

/** Most relaxations to solve; beyond that the open ones determine the bound. */
const MOST_NODES = 400;
const WHOLE = 1e-6;

/** A lower bound of the cost, and the devices of each kind that it would take. */
export interface Relaxed {
  readonly value: number;
  /** By kind: devices, times the work that they do at once. */
  readonly atOnce: readonly number[];
}

/**
 * Lower bound of the hourly cost of any placement that meets the objective: replicas may be split into any fractions,
 * so only the time and memory that the load needs of each class of devices count, and whole devices are paid; `cuts` add
 * what queues need. Branch and bound over the numbers of devices; infinite if even all devices are too few.
 */
export function cheapest(problem: Problem, cuts: readonly Cut[] = []): Relaxed {
  const none = { value: Number.POSITIVE_INFINITY, atOnce: problem.kinds.map(() => 0) };
  if (cuts.some(({ bound }) => bound === Number.POSITIVE_INFINITY)) return none;
  const classes = classesOf(problem);
  const columns = columnsOf(problem, classes);
  const cutting = (first: number): Constraint[] =>
    cuts.map(({ weights, bound }) => ({
      terms: classes.map(
        ({ kind, capacity: atOnce }, k) => [first + k, ((weights[kind] ?? 0) * atOnce) / bound] as const,
      ),
      is: 'atLeast',
      bound: 1,
    }));
  const relaxed = (least: readonly number[], most: readonly number[]) => {
    const first = columns.length;
    const costs = [...columns.map(() => 0), ...classes.map(({ pricePerHour }) => pricePerHour)];
    const constraints: Constraint[] = [
      ...wholePools(problem, columns),
      ...cutting(first),
      ...classes.flatMap((each, k): Constraint[] => [
        capacity(columns, k, [[first + k, -each.capacity]]),
        memoryOf(columns, k, [[first + k, -each.memoryBytes]]),
        { terms: [[first + k, 1]], is: 'atMost', bound: most[k] ?? 0 },
        ...((least[k] ?? 0) > 0
          ? [{ terms: [[first + k, 1]] as const, is: 'atLeast' as const, bound: least[k] ?? 0 }]
          : []),
      ]),
    ];
    const solution = minimise(costs, constraints);
    return solution && { value: solution.value, counts: classes.map((_, k) => solution.x[first + k] ?? 0) };
  };
  const open: {
    readonly value: number;
    readonly counts: readonly number[];
    readonly least: readonly number[];
    readonly most: readonly number[];
  }[] = [];
  const push = (least: readonly number[], most: readonly number[]) => {
    const solved = relaxed(least, most);
    if (solved) open.push({ ...solved, least, most });
  };
  push(
    classes.map(() => 0),
    classes.map(({ count }) => count),
  );
  for (let nodes = 0; ; nodes += 1) {
    open.sort((a, b) => b.value - a.value);
    const next = open.pop();
    if (next === undefined) return none;
    const split = next.counts.findIndex((count) => Math.abs(count - Math.round(count)) > WHOLE);
    // The lowest of the open relaxations bounds all of them.
    if (split < 0 || nodes >= MOST_NODES) {
      const atOnce = problem.kinds.map((_, kind) =>
        classes.reduce((sum, each, k) => sum + (each.kind === kind ? each.capacity * (next.counts[k] ?? 0) : 0), 0),
      );
      return { value: next.value * (1 - 1e-9), atOnce };
    }
    const count = next.counts[split] ?? 0;
    const changed = (bounds: readonly number[], value: number) =>
      bounds.map((bound, k) => (k === split ? value : bound));
    push(next.least, changed(next.most, Math.floor(count)));
    push(changed(next.least, Math.ceil(count)), next.most);
  }
}

/** Upper bound of the load on these devices, as a multiple of the problem's load. */
export function fastest(problem: Problem): number {
  const classes = classesOf(problem);
  const columns = columnsOf(problem, classes);
  // Fractions of the load scale with it, so the factor is one more variable. Its negative is not allowed as a cost, so
  // the share of the devices' time that the load needs is minimised instead, and inverted.
  const share = columns.length;
  const solution = minimise(
    [...columns.map(() => 0), 1],
    [
      ...wholePools(problem, columns),
      ...classes.map((each, k) => capacity(columns, k, [[share, -each.capacity * each.count]])),
    ],
  );
  return solution && solution.value > 0 ? (1 / solution.value) * (1 + 1e-9) : 0;
}

function classesOf({ cells }: Problem): readonly Class[] {
  const classes = new Map<string, Class>();
  for (const { kind, pricePerHour, capacity: atOnce, memoryBytes, devices } of cells) {
    const key = JSON.stringify([kind, pricePerHour, atOnce]);
    const count = (classes.get(key)?.count ?? 0) + devices.length;
    classes.set(key, { kind, pricePerHour, capacity: atOnce, memoryBytes, count });
  }
  return [...classes.values()];
}

function columnsOf({ pools }: Problem, classes: readonly Class[]): readonly Column[] {
  return pools.flatMap(({ configs }, pool) =>
    classes.flatMap(({ kind, memoryBytes }, k) => {
      const uses = configs.flatMap((config: Config): Use[] => {
        const use = config.uses[kind];
        return use && use.memoryBytes <= memoryBytes ? [use] : [];
      });
      const all = uses.map((use) => ({
        pool,
        class: k,
        erlangs: use.erlangs * use.width,
        bytes: use.memoryBytes * use.width,
      }));
      const beaten = (a: Column, i: number) =>
        all.some(
          (b, j) =>
            j !== i &&
            b.erlangs <= a.erlangs &&
            b.bytes <= a.bytes &&
            (j < i || b.erlangs < a.erlangs || b.bytes < a.bytes),
        );
      return all.filter((column, i) => !beaten(column, i));
    }),
  );
}

type Terms = Constraint['terms'];

/** Every pool is served completely. */
const wholePools = ({ pools }: Problem, columns: readonly Column[]): Constraint[] =>
  pools.map((_, p) => ({
    terms: columns.flatMap(({ pool }, c): (readonly [number, number])[] => (pool === p ? [[c, 1]] : [])),
    is: 'equal',
    bound: 1,
  }));

/** Time of a class's devices: an erlang of a wide replica occupies all of its devices. */
const capacity = (columns: readonly Column[], k: number, more: Terms): Constraint => ({
  terms: [
    ...columns.flatMap((column, c): (readonly [number, number])[] => (column.class === k ? [[c, column.erlangs]] : [])),
    ...more,
  ],
  is: 'atMost',
  bound: 0,
});

/** Memory: a pool served partly by a class has at least that fraction of a replica there. */
const memoryOf = (columns: readonly Column[], k: number, more: Terms): Constraint => ({
  terms: [
    ...columns.flatMap((column, c): (readonly [number, number])[] =>
      column.class === k ? [[c, column.bytes / SCALE]] : [],
    ),
    ...more.map(([c, v]) => [c, v / SCALE] as const),
  ],
  is: 'atMost',
  bound: 0,
});

/** Bytes are counted in GiB next to erlangs, so that the simplex method's numbers have similar magnitudes. */
const SCALE = 2 ** 30;
