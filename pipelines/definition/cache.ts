import { type Duration, durationMs } from '../duration.js';
import { MillraceError } from '../errors.js';
import type { CachePlan } from '../plan/plan.js';
import { type Assignable, type Owner, toBinding } from './reference.js';

export interface SemanticCache {
  readonly key: Assignable<string>;
  readonly ttl: Duration;
  readonly minSimilarity: number;
  readonly embedder: string;
}

/**
 * Serves a stage's answer to an earlier request whose `key` means the same. Answers are kept apart by tenant, pipeline,
 * stage, kind, model, options, all inputs but the key, time to live and embedder. A hit needs the similarity and the lexical guards (negation,
 * numbers, names). When the cache cannot be reached the stage runs as if it had none.
 *
 * @param options.key the text whose meaning is compared
 * @param options.ttl how long an answer may be served; default one day
 * @param options.minSimilarity least cosine similarity; default 0.85. In MiniLM's space two thirds of near misses (`of France`,
 *   `of Spain`) lie above it and 6 % of paraphrases below: no threshold tells them apart, the guards do. This one keeps
 *   texts that are not about the same thing from reaching them
 * @param options.embedder pool that embeds the key; default `minilm`
 */
export const semantic = (options: {
  key: Assignable<string>;
  ttl?: Duration;
  minSimilarity?: number;
  embedder?: string;
}): SemanticCache => ({ ttl: '1d', minSimilarity: 0.85, embedder: 'minilm', ...options });

export function resolveCache(cache: SemanticCache, where: string, owner: Owner): CachePlan {
  if (!(cache.minSimilarity > 0 && cache.minSimilarity <= 1)) {
    const message = `must be above 0 and at most 1, not ${cache.minSimilarity}`;
    const field = `${where}.minSimilarity`;
    throw new MillraceError('INVALID_PIPELINE', `${field} ${message}`, { fields: [{ field, message }] });
  }
  return {
    kind: 'semantic',
    key: toBinding(cache.key, `${where}.key`, owner),
    ttlMs: durationMs(cache.ttl, `${where}.ttl`),
    minSimilarity: cache.minSimilarity,
    embedder: cache.embedder,
  };
}
