import type { Option } from './demand.js';

/** Parts of the time of a group, rounded so that an option is never counted as longer than it is. */
const PARTS = 64;

/** Runs with the same options for a group of stages. */
export interface RunClasses {
  /** The class of each run, and one run of each class. */
  readonly classOf: Int32Array;
  readonly first: Int32Array;
}

/** Groups runs by the work of all these options: most differ only by how many others arrive close to them. */
export function classesOfRuns(stages: readonly (readonly Option[])[], runs: number): RunClasses {
  const low = new Int32Array(runs).fill(0x811c9dc5);
  const high = new Int32Array(runs).fill(0x1000193);
  for (const options of stages) {
    for (const { work } of options) {
      const bits = new Int32Array(work.buffer, work.byteOffset, 2 * runs);
      for (let i = 0; i < runs; i += 1) {
        const a = bits[2 * i] as number;
        const b = bits[2 * i + 1] as number;
        low[i] = Math.imul((low[i] as number) ^ a ^ (b >>> 7), 0x01000193) ^ b;
        high[i] = Math.imul((high[i] as number) ^ b, 0x85ebca6b) ^ (a >>> 3);
      }
    }
  }
  const known = new Map<number, number>();
  const first: number[] = [];
  const classOf = new Int32Array(runs);
  for (let i = 0; i < runs; i += 1) {
    // 53 bits of both hashes.
    const key = (low[i] as number) * 2 ** 21 + ((high[i] as number) & 0x1fffff);
    let at = known.get(key);
    if (at === undefined) {
      at = first.push(i) - 1;
      known.set(key, at);
    }
    classOf[i] = at;
  }
  return { classOf, first: Int32Array.from(first) };
}

/**
 * By run, the least priced work of a group of stages: for each stage its cheapest option. With `limitMs` the options'
 * times together must not exceed it; without, stages are independent. Infinite: no options are in time. A stage that a run
 * does not need has work 0 in all its options.
 */
export function chainWork(
  stages: readonly (readonly Option[])[],
  { classOf, first }: RunClasses,
  weights: readonly number[],
  limitMs: number | undefined,
): Float64Array {
  const chained = limitMs !== undefined && stages.length > 1;
  const part = (limitMs ?? 1) / PARTS;
  // By stage its options, the shortest first.
  const ordered = stages.map((options) =>
    options
      .map(({ kind, ms, work }) => ({
        work,
        price: weights[kind] ?? 0,
        parts: chained ? Math.floor(ms / part + 1e-9) : 0,
      }))
      .sort((a, b) => a.parts - b.parts),
  );
  const most = chained ? PARTS : 0;
  let now = new Float64Array(most + 1);
  let next = new Float64Array(most + 1);
  const least = new Float64Array(first.length);
  for (const [c, run] of first.entries()) {
    now.fill(0);
    for (const options of ordered) {
      next.fill(Number.POSITIVE_INFINITY);
      let cheapest = Number.POSITIVE_INFINITY;
      for (const { work, price, parts } of options) {
        const own = work[run] as number;
        if (own === Number.POSITIVE_INFINITY) continue;
        const cost = price * own;
        // A shorter one costs no more.
        if (cost >= cheapest) continue;
        cheapest = cost;
        // A run that does not need the stage has all the time for the others.
        const taken = own === 0 ? 0 : parts;
        for (let t = taken; t <= most; t += 1) {
          const sum = (now[t - taken] as number) + cost;
          if (sum < (next[t] as number)) next[t] = sum;
        }
      }
      [now, next] = [next, now];
    }
    least[c] = now[most] as number;
  }
  return Float64Array.from(classOf, (c) => least[c] as number);
}
