import {
  CACHED_COLUMN,
  type ContinuousTable,
  cachedEver,
  cachedOf,
  inCache,
  type Load,
  meanPromptAt,
} from '../simulator/index.js';

/** Prompts of which servers have a part in their prefix caches. */
interface CachedPrompts {
  /** The mean time of a prompt with the most that any number of replicas has. */
  readonly leastMs: number;
  /** What a prompt takes beyond `leastMs` on average with so many replicas, in milliseconds. */
  extraMs(replicas: number): number;
}

/** Runs that represent a load: means of more differ by less than what profiles are off by. */
const SAMPLES = 4_096;

/** The times of a load's prompts at servers with prefix caches; undefined if these servers have none, or the load says nothing of them. */
export function cachedPrompts(table: ContinuousTable, load: Load): CachedPrompts | undefined {
  const { routing, columnCached = CACHED_COLUMN, columnIn, typicalIn, prefill } = table;
  if (routing === undefined || table.part === 'decode') return undefined;
  const columns = cachedEver(load, columnCached, routing);
  if (columns.length === 0) return undefined;
  const count = Math.min(SAMPLES, load.timesMs.length);
  const runs = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * load.timesMs.length) / count));
  const tokensOf = (run: number) => {
    const known = load.sizes[columnIn]?.[run] ?? Number.NaN;
    return Number.isNaN(known) ? typicalIn : known;
  };
  const means = new Map<Float64Array | undefined, number>();
  const meanOf = (cached: Float64Array | undefined) => {
    const known = means.get(cached);
    if (known !== undefined) return known;
    const sum = runs.reduce((all, run) => {
      const tokens = tokensOf(run);
      return all + meanPromptAt(prefill, tokens, inCache(cached, run, tokens));
    }, 0);
    const mean = sum / Math.max(1, count);
    means.set(cached, mean);
    return mean;
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
