import {
  bendsOf,
  CACHED_COLUMN,
  type ContinuousTable,
  cachedEver,
  inCache,
  type Load,
  leastPromptAt,
  quantileAt,
  type StepTimes,
  shortestStep,
  slopeAt,
  stepAt,
} from '../simulator/index.js';
import { type StageDemand, together } from './density.js';

/**
 * The least time and the least work of a stage's sequences on an LLM server: the prompt's shortest time, with whatever any number of
 * replicas has of it in a prefix cache, and for each further token a part of a step (`shareOfSteps`). The sequences that run together and
 * end in time arrive in a window of the time that they have, which is `poolMs`; they may be of any stage of the pool.
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
  const calledTogether = together(load.timesMs, demand, poolMs, maxBatch);
  const columns =
    table.routing === undefined ? [] : cachedEver(load, table.columnCached ?? CACHED_COLUMN, table.routing);
  const known = (column: string, typical: number, run: number) => {
    const value = load.sizes[column]?.[run] ?? Number.NaN;
    return Number.isNaN(value) ? typical : value;
  };
  const { parts, perToken } = shareOfSteps(table.steps, maxBatch);
  const stepMs = shortestStep(table.steps);
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
    work[run] = prompt + more * (parts[most] ?? 0) + cached * perToken;
    ms = Math.min(ms, prompt + more * stepMs);
  }
  return { ms: Number.isFinite(ms) ? ms : 0, work };
}

/**
 * What a sequence bears of a step, at the least: `parts[most]`, by the most sequences in time that it may run with, and `perToken` for each token
 * that it has in the cache; in milliseconds. Neither is negative.
 *
 * **Claim.** What the sequences in time bear of a step is together at most the step's time, however many late or failing ones run with them.
 *
 * **Proof.** With n sequences of c tokens on average, a step takes at least e(n) + perToken · n · c: e(n) is the least difference at the contexts
 * between which the step times are linear, and beyond the last of these they grow faster. Of the n let k be in time. Then
 * k · parts[k] is at most e(n), since it is the least of e(k), e(k + 1) ..., the tokens of the k are at most n · c, and parts[most] <= parts[k].
 */
export function shareOfSteps(steps: StepTimes, maxBatch: number) {
  let perToken = Number.POSITIVE_INFINITY;
  for (let n = 1; n <= maxBatch; n += 1) {
    for (const at of bendsOf(steps, n)) {
      const slope = Math.max(0, slopeAt(steps, n, at + 1e-9));
      // Steeper than this, a line that is nowhere above the step times would be negative at an empty cache.
      const steepest = at > 0 ? stepAt(steps, n, at) / at : slope;
      perToken = Math.min(perToken, slope / n, steepest / n);
    }
  }
  const parts: number[] = new Array(maxBatch + 1).fill(0);
  let least = Number.POSITIVE_INFINITY;
  for (let n = maxBatch; n >= 1; n -= 1) {
    for (const at of bendsOf(steps, n)) least = Math.min(least, stepAt(steps, n, at) - perToken * n * at);
    parts[n] = Math.max(0, least) / n;
  }
  for (let n = 2; n <= maxBatch; n += 1) parts[n] = Math.min(parts[n] ?? 0, parts[n - 1] ?? 0);
  return { parts, perToken };
}
