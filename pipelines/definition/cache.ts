import { z } from 'zod';
import { type Duration, durationMs } from '../duration.js';
import type { CachePlan } from '../plan/plan.js';
import { misfit } from './fits.js';
import { invalid } from './invalid.js';
import { type Assignable, toBinding } from './reference.js';
import type { GraphScope } from './scope.js';

export interface SemanticCache {
  readonly key: Assignable<string>;
  readonly ttl: Duration;
  readonly minSimilarity: number;
  readonly embedder: string;
}

/**
 * Serves the answer to an earlier request whose `key` has the same meaning. Answers are kept apart by tenant, pipeline,
 * stage, kind, model, options, all inputs but the key, time to live and embedder. A hit must reach the similarity and
 * pass the lexical guards (negation, numbers, names). When the cache cannot be reached, the stage runs without it.
 *
 * @param options.key text whose meaning is compared
 * @param options.ttl how long an answer may be served; default one day
 * @param options.minSimilarity minimum cosine similarity; default 0.85. In MiniLM's space two thirds of near misses
 *   (`of France`, `of Spain`) score above it and 6 % of paraphrases below: no threshold separates them, the guards do.
 *   This one keeps unrelated texts from reaching the guards
 * @param options.embedder pool that embeds the key; default `minilm`
 */
export const semantic = (options: {
  key: Assignable<string>;
  ttl?: Duration;
  minSimilarity?: number;
  embedder?: string;
}): SemanticCache => ({ ttl: '1d', minSimilarity: 0.85, embedder: 'minilm', ...options });

export function resolveCache(cache: SemanticCache, where: string, scope: GraphScope): CachePlan {
  if (!(cache.minSimilarity > 0 && cache.minSimilarity <= 1)) {
    throw invalid(`${where}.minSimilarity`, `must be above 0 and at most 1, not ${cache.minSimilarity}`);
  }
  if (typeof cache.embedder !== 'string' || cache.embedder === '')
    throw invalid(`${where}.embedder`, 'must name a pool');
  if (cache.key === undefined) throw invalid(`${where}.key`, 'is missing: name the text whose meaning is compared');
  const wrong = misfit(cache.key, z.string());
  if (wrong) throw invalid(`${where}.key`, `${wrong.why}: the key is compared as text`);
  return {
    kind: 'semantic',
    key: toBinding(cache.key, `${where}.key`, scope),
    ttlMs: durationMs(cache.ttl, `${where}.ttl`),
    minSimilarity: cache.minSimilarity,
    embedder: cache.embedder,
  };
}
