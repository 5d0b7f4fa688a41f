import {
  CACHED_COLUMN,
  type ContinuousTable,
  cachedEver,
  cachedOf,
  inCache,
  type Load,
  meanPromptAt,
} from '../simulator/index.js';
import { numberAt } from './number-at.js';
import type { TokensOfCalls } from './tokens-of-calls.js';

/** Prompts of which servers have a part in their prefix caches. */
interface CachedPrompts {
  /** The mean time of a prompt with the most that any number of replicas has. */
  readonly leastMs: number;
  /** What a prompt takes beyond `leastMs` on average with so many replicas, in milliseconds. */
  extraMs(replicas: number): number;
}

/** Most runs that are looked at. Of more, an even sample stands for all. */
const SAMPLES = 4_096;

/** Standard errors of a sample's mean that are taken off it, so that it is hardly above that of all runs. */
const ERRORS = 3;

/**
 * The times of a stage's prompts at servers with prefix caches; undefined if these servers have none, or the load says nothing of them.
 *
 * @param calls those that the servers are given
 */
export function cachedPrompts(
  table: ContinuousTable,
  load: Load,
  { runs: own, calls }: Pick<TokensOfCalls, 'runs' | 'calls'>,
): CachedPrompts | undefined {
  const { routing, columnCached = CACHED_COLUMN, columnIn, typicalIn, prefill } = table;
  if (routing === undefined || table.part === 'decode') return undefined;
  const columns = cachedEver(load, columnCached, routing);
  if (columns.length === 0) return undefined;
  const count = Math.min(SAMPLES, own.length);
  const sample = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * own.length) / count));
  const weights = sample.map((i) => calls?.[i] ?? 1);
  const all = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  const tokensOf = numberAt(load, columnIn, typicalIn);
  const means = new Map<Float64Array | undefined, number>();
  const meanOf = (cached: Float64Array | undefined) => {
    const known = means.get(cached);
    if (known !== undefined) return known;
    const times = sample.map((i) => {
      const run = own[i] as number;
      const tokens = tokensOf(run);
      return meanPromptAt(prefill, tokens, inCache(cached, run, tokens));
    });
    const weighted = (of: (ms: number, weight: number) => number) =>
      times.reduce((sum, ms, i) => sum + of(ms, weights[i] as number), 0);
    const mean = weighted((ms, weight) => ms * weight) / all;
    const error = count < own.length ? Math.sqrt(weighted((ms, weight) => (weight * (ms - mean)) ** 2)) / all : 0;
    const least = Math.max(0, mean - ERRORS * error);
    means.set(cached, least);
    return least;
  };
  const leastMs = Math.min(...columns.map(meanOf));
  return {
    leastMs,
    extraMs(replicas) {
      const found = cachedOf(load, columnCached, routing, replicas);
      if (found === undefined) return 0;
      const { share, first, second } = found;
      return Math.max(0, share * meanOf(first) + (1 - share) * (share < 1 ? meanOf(second) : 0) - leastMs);
    },
  };
}
