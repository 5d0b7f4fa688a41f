import type { CacheRequest, SemanticCache } from '../../activities/cache/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { CacheVerifier } from '../../pipelines/plan/index.js';
import { mulberry32, shuffled } from '../random.js';
import type { Judged } from './judge.js';
import type { Pair } from './pairs.js';

export interface Live {
  readonly judged: readonly Judged[];
  /** Pairs by the tier of their hit. */
  readonly tiers: Readonly<Record<string, number>>;
}

export interface LiveOptions {
  readonly tenant: string;
  readonly maxErrorRate?: number;
  readonly verifier?: CacheVerifier | undefined;
  readonly seed?: number;
}

/**
 * Stores `a`, asks `b`: the whole way through the cache. Each pair has a principal of its own, so that no pair sees the
 * answers of another; all of them are one stage, whose labels come from the set. With `maxErrorRate` the first half, in
 * an order that the seed decides, gives labels only; the second is judged.
 */
export async function askLive(
  cache: SemanticCache,
  pairs: readonly Pair[],
  { tenant, maxErrorRate, verifier, seed = 1 }: LiveOptions,
): Promise<Live> {
  const order = maxErrorRate === undefined ? pairs : shuffled(pairs, mulberry32(seed));
  const from = maxErrorRate === undefined ? 0 : Math.floor(order.length / 2);
  const judged: Judged[] = [];
  const tiers: Record<string, number> = {};
  for (const [i, pair] of order.entries()) {
    const ask = (key: string, output: JsonObject) =>
      cache.through(
        { ...REQUEST, tenant, principal: `pair-${i}`, key, maxErrorRate, verifier },
        async () => output,
        new AbortController().signal,
      );
    await ask(pair.a, { text: 'the answer' });
    const { outcome, by } = await ask(pair.b, { text: pair.same ? 'the answer' : 'another answer' });
    if (i < from) continue;
    judged.push({ ...pair, hit: outcome === 'hit' });
    if (by) tiers[by.tier] = (tiers[by.tier] ?? 0) + 1;
  }
  return { judged, tiers };
}

/** The defaults of `semantic()`. */
export const REQUEST: Omit<CacheRequest, 'key' | 'tenant'> = {
  pipeline: 'bench',
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  context: {},
  ttlMs: 3_600_000,
  minSimilarity: 0.7,
  embedder: 'minilm',
};
