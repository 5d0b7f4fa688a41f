import {
  CACHED_COLUMN,
  type ContinuousTable,
  cachedEver,
  inCache,
  type Load,
  leastPromptAt,
  quantileAt,
  slopeAt,
  stepAt,
} from '../simulator/index.js';
import { type StageDemand, together } from './density.js';

/**
 * The least time and the least work of a stage's sequences on an LLM server: the prompt's shortest time, with whatever any number of
 * replicas has of it in a prefix cache, and for each further token a part of a step. A step of b sequences takes at least what it
 * takes with an empty cache, which its b sequences bear together, and what reading their own caches adds; those that run together
 * and end in time arrive in a window of the time that they have, which is `poolMs`; they may be of any stage of the pool.
 */
export function sequenceOf(
  load: Load,
  demand: StageDemand,
  table: ContinuousTable,
  maxBatch: number,
  poolMs: number,
): { readonly ms: number; readonly work: Float64Array } {
  const { runs, needed } = demand;
  const work = new Float64Array(load.timesMs.length);
  const calledTogether = together(load.timesMs, demand, poolMs);
  const columns =
    table.routing === undefined ? [] : cachedEver(load, table.columnCached ?? CACHED_COLUMN, table.routing);
  const known = (column: string, typical: number, run: number) => {
    const value = load.sizes[column]?.[run] ?? Number.NaN;
    return Number.isNaN(value) ? typical : value;
  };
  const slope = (b: number) => {
    let least = Number.POSITIVE_INFINITY;
    for (const context of [0, ...table.steps.contexts])
      least = Math.min(least, slopeAt(table.steps, b, context + 1e-9));
    return least / b;
  };
  // By the most sequences: the least part of an empty step, and of a token in the cache.
  const parts: number[] = [];
  const grows: number[] = [];
  for (let b = 1; b <= maxBatch; b += 1) {
    parts[b] = Math.min(parts[b - 1] ?? Number.POSITIVE_INFINITY, stepAt(table.steps, b, 0) / b);
    grows[b] = Math.min(grows[b - 1] ?? Number.POSITIVE_INFINITY, slope(b));
  }
  let ms = Number.POSITIVE_INFINITY;
  for (const [i, run] of runs.entries()) {
    if (needed[run] === 0) continue;
    const tokensIn = known(table.columnIn, table.typicalIn, run);
    const more = Math.max(0, known(table.columnOut, table.typicalOut, run) - 1);
    // Another pool may process it, on other devices: that counts in that pool's time.
    const prompt =
      table.part === 'decode'
        ? 0
        : columns.reduce(
            (least, tokens) => Math.min(least, leastPromptAt(table.prefill, tokensIn, inCache(tokens, run, tokensIn))),
            quantileAt(table.prefill, 1, tokensIn, 0),
          );
    // All calls of a run may run together.
    const most = Math.min(maxBatch, calledTogether[i] as number);
    const cached = more * (tokensIn + more / 2);
    work[run] = prompt + more * (parts[most] ?? 0) + cached * (grows[most] ?? 0);
    ms = Math.min(ms, prompt + more * stepAt(table.steps, 1, 0));
  }
  return { ms: Number.isFinite(ms) ? ms : 0, work };
}
