import type { SimulatedPlacement } from '../simulator/index.js';

interface Known<T> {
  /** By pool: the batch limit that was simulated, and the least that makes no difference (`leastLimits`). */
  readonly limits: readonly number[];
  readonly least: Int32Array;
  readonly result: T;
}

/**
 * Results of simulations, known also for other batch limits.
 *
 * A replica with room takes all waiting calls of its pool up to the pool's limit, or the largest preferred size among them.
 * While no more calls wait when a batch begins than either of two limits allows, both form the same batches at the same times: the
 * simulations are the same, event by event. Where batches wait to fill, a full one does not: there fewer calls must have waited. So a result holds for all limits that are at least the most calls that waited. Only
 * pools with long queues have several limits to simulate.
 */
export class KnownResults<T> {
  readonly #known = new Map<string, Known<T>[]>();

  /** The result for these limits, of a placement and load that `key` describes but for the limits. */
  find(key: string, limits: readonly number[]): T | undefined {
    return this.#known.get(key)?.find((each) => limits.every((limit, p) => isSame(each, p, limit)))?.result;
  }

  add(key: string, limits: readonly number[], least: Int32Array, result: T): void {
    const known = this.#known.get(key);
    const next = { limits, least, result };
    if (known) known.push(next);
    else this.#known.set(key, [next]);
  }
}

function isSame<T>({ limits, least }: Known<T>, p: number, limit: number): boolean {
  const simulated = limits[p] as number;
  return limit === simulated || Math.min(limit, simulated) >= (least[p] as number);
}

/** By pool, the least limit that made no difference where so many calls waited. */
export const leastLimits = (waiting: Int32Array, { pools }: SimulatedPlacement): Int32Array =>
  waiting.map((calls, p) => ((pools[p]?.maxQueueDelayMs ?? 0) > 0 ? calls + 1 : calls));

/**
 * What a placement is but for its batch limits: the replicas of each pool in order, and their variants. Undefined for a placement
 * with an LLM, whose cache depends on the batch limits of its neighbours.
 */
export function keyButLimits({ pools }: SimulatedPlacement, variants: readonly string[]): string | undefined {
  if (pools.some(({ batching }) => batching === 'continuous')) return undefined;
  const spelled = pools.map(({ replicas, maxQueueDelayMs }, p) => {
    const waits = maxQueueDelayMs > 0 ? `+${maxQueueDelayMs}` : '';
    return `${variants[p]}@${replicas.map(({ device, spans = [device] }) => spans.join('+')).join()}${waits}`;
  });
  return spelled.join(' ');
}
