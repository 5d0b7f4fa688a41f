import { z } from 'zod';
import { didYouMean } from '../did-you-mean.js';
import { type Duration, durationMs } from '../duration.js';
import { bare } from '../media.js';
import type { CacheAgreement, CacheVerifier, SemanticCachePlan } from '../plan/plan.js';
import { misfit } from './fits.js';
import { checkKeys, type Freshness, resolveFreshness } from './freshness.js';
import { invalid } from './invalid.js';
import { type Assignable, toBinding } from './reference.js';
import type { GraphScope } from './scope.js';

export interface SemanticCacheOptions {
  readonly key: Assignable<string>;
  readonly ttl?: Duration;
  readonly minSimilarity?: number;
  readonly embedder?: string;
  readonly maxErrorRate?: number;
  readonly reask?: number;
  readonly agree?: CacheAgreement;
  readonly verifier?: VerifierOptions;
  readonly shared?: boolean;
  readonly freshness?: Freshness;
}

/** A model that you serve, for the verifier of a semantic cache. */
export interface VerifierOptions {
  /**
   * Pool that scores whether one text entails another: of the kind `classify` over two texts (`text`, `textPair`), or of the
   * kind `rerank` with scores from 0 to 1. It is called for both directions.
   */
  readonly entailment: string;
  /** For a classifier: the label that means entailment. Default `entailment`. */
  readonly label?: string;
  /** Longest wait for the model, at most 10 s; after that the lookup is decided without it. Default 500 ms. */
  readonly timeout?: Duration;
}

export type SemanticCache = SemanticCacheOptions &
  Required<Pick<SemanticCacheOptions, 'ttl' | 'minSimilarity' | 'embedder'>>;

/**
 * Serves the answer to an earlier request whose `key` has the same meaning. Answers are kept apart by tenant, caller,
 * pipeline, stage, kind, model, options, all inputs but the key, time to live, `agree` and embedder. A hit is the same text, one
 * that the lexical guard considers the same, or, with `maxErrorRate`, one that a verifier considers the same while the
 * stage's measured error rate allows it. When the cache cannot be reached, the stage runs without it.
 *
 * @param options.key text whose meaning is compared
 * @param options.ttl how long an answer may be served; default one day
 * @param options.minSimilarity minimum cosine similarity; default 0.7: it keeps unrelated texts from the guard and the
 *   verifier, which decide. No similarity separates near misses (`of France`, `of Spain`) from paraphrases
 * @param options.embedder pool that embeds the key; default `minilm`
 * @param options.maxErrorRate greatest share of wrong answers among hits on texts that are not identical, above 0 and at
 *   most 0.5. The stage starts with the guard only. Each miss whose text is near a cached one compares the two answers.
 *   The verifier's hits above a score are served while the upper 90 % bound of the error rate above that score is at most
 *   `maxErrorRate` (this takes 50 right labels and no wrong one at 0.05, 125 at 0.02). Default: the guard only
 * @param options.reask share of the hits, from 0 to 1, that still call the model, to keep measuring; default
 *   0.02
 * @param options.agree when two answers say the same: `{ by: 'text' }` (default), `{ by: 'fields', fields }`, `{ by:
 *   'similarity', atLeast }` or `{ by: 'model', model }`, a pool that serves `chat` and is asked in the background
 * @param options.verifier with `maxErrorRate`: an entailment model that you serve (`{ entailment: 'nli' }`), which scores
 *   the pairs that the guard leaves to the verifier. The stage then collects separate labels; if the model does not
 *   answer in time, the verifier decides without it
 * @param options.shared callers with different keys or users share answers; default false
 * @param options.freshness texts whose answer depends on the time are not cached unless `timeWords` is `serve`;
 *   `untilMidnight`: answers expire at the end of the day in this time zone; `version`: they expire with the version of
 *   the data that they are made from
 */
export const semantic = (options: SemanticCacheOptions): SemanticCache => ({
  ttl: '1d',
  minSimilarity: 0.7,
  embedder: 'minilm',
  ...options,
});

const KEYS = [
  'key',
  'ttl',
  'minSimilarity',
  'embedder',
  'maxErrorRate',
  'reask',
  'agree',
  'verifier',
  'shared',
  'freshness',
];

/** @param output schema of the stage's output */
export function resolveCache(
  cache: SemanticCache,
  where: string,
  scope: GraphScope,
  output: z.ZodType | undefined,
): SemanticCachePlan {
  checkKeys(cache, KEYS, where);
  const { maxErrorRate, reask, agree, verifier, freshness } = cache;
  if (!(cache.minSimilarity > 0 && cache.minSimilarity <= 1)) {
    throw invalid(`${where}.minSimilarity`, `must be above 0 and at most 1, not ${cache.minSimilarity}`);
  }
  if (typeof cache.embedder !== 'string' || cache.embedder === '')
    throw invalid(`${where}.embedder`, 'must name a pool');
  if (cache.key === undefined) throw invalid(`${where}.key`, 'is missing: name the text whose meaning is compared');
  const wrong = misfit(cache.key, z.string());
  if (wrong) throw invalid(`${where}.key`, `${wrong.why}: the key is compared as text`);
  if (maxErrorRate !== undefined && !(maxErrorRate > 0 && maxErrorRate <= 0.5))
    throw invalid(`${where}.maxErrorRate`, `must be above 0 and at most 0.5, not ${maxErrorRate}`);
  if (reask !== undefined && !(reask >= 0 && reask <= 1))
    throw invalid(`${where}.reask`, `must be a share from 0 to 1, not ${reask}`);
  checkAgreement(agree, where, output);
  if (verifier !== undefined && maxErrorRate === undefined)
    throw invalid(`${where}.verifier`, 'applies only with maxErrorRate: without it no verifier is asked');
  return {
    kind: 'semantic',
    key: toBinding(cache.key, `${where}.key`, scope),
    ...resolveFreshness(cache, where, scope),
    minSimilarity: cache.minSimilarity,
    embedder: cache.embedder,
    ...(maxErrorRate !== undefined && { maxErrorRate }),
    ...(reask !== undefined && { reask }),
    ...(agree !== undefined && { agree }),
    ...(verifier !== undefined && { verifier: resolveVerifier(verifier, `${where}.verifier`) }),
    ...(freshness?.timeWords === 'serve' && { timely: true as const }),
  };
}

/** As long as a person waits for an answer that the cache was to save. */
const MOST_VERIFIER_MS = 10_000;
/** More than a small model takes for two short texts, less than the call that a hit saves. */
const VERIFIER_MS = 500;

function resolveVerifier(verifier: VerifierOptions, where: string): CacheVerifier {
  if (typeof verifier !== 'object' || verifier === null)
    throw invalid(where, 'must be an object that names a pool: { entailment: "nli" }');
  checkKeys(verifier, ['entailment', 'label', 'timeout'], where);
  const { entailment, label = 'entailment', timeout = VERIFIER_MS } = verifier;
  if (typeof entailment !== 'string' || entailment === '')
    throw invalid(`${where}.entailment`, 'must name a pool that serves classify or rerank');
  if (typeof label !== 'string' || label === '') throw invalid(`${where}.label`, 'must name a label of the model');
  const timeoutMs = durationMs(timeout, `${where}.timeout`);
  if (timeoutMs > MOST_VERIFIER_MS) throw invalid(`${where}.timeout`, `must be 10 s at most, not ${timeout}`);
  return { entailment, label, timeoutMs };
}

function checkAgreement(agree: CacheAgreement | undefined, where: string, output: z.ZodType | undefined): void {
  if (agree === undefined || agree.by === 'text') return;
  if (agree.by === 'fields') {
    if (!Array.isArray(agree.fields) || agree.fields.length === 0)
      throw invalid(`${where}.agree.fields`, 'must name one output field at least');
    checkFields(agree.fields, `${where}.agree.fields`, output);
    return;
  }
  if (agree.by === 'model') {
    if (typeof agree.model === 'string' && agree.model !== '') return;
    throw invalid(`${where}.agree.model`, 'must name a pool that serves chat');
  }
  if (agree.by !== 'similarity') throw invalid(`${where}.agree.by`, 'must be text, fields, similarity or model');
  if (!(agree.atLeast > 0 && agree.atLeast <= 1))
    throw invalid(`${where}.agree.atLeast`, `must be above 0 and at most 1, not ${agree.atLeast}`);
}

/** A field that no answer has is equal in all of them: every hit would count as right. */
function checkFields(fields: readonly string[], where: string, output: z.ZodType | undefined): void {
  const schema = output && bare(output);
  if (!(schema instanceof z.ZodObject)) return;
  const { catchall } = schema.def;
  if (catchall !== undefined && !(catchall instanceof z.ZodNever)) return;
  const known = Object.keys(schema.shape);
  const unknown = fields.find((field) => !known.includes(field));
  if (unknown === undefined) return;
  throw invalid(
    where,
    `names "${unknown}", which the output does not have; it has ${known.join(', ')}${didYouMean(unknown, known)}`,
  );
}
