import { type Duration, durationMs } from '../duration.js';
import { whyNoFailures, whyNotExact } from '../plan/exact.js';
import type { Alternative, ExactCachePlan } from '../plan/plan.js';
import type { StageUse } from '../stages/kind.js';
import { checkKeys, type Freshness, resolveFreshness } from './freshness.js';
import { invalid } from './invalid.js';
import type { GraphScope } from './scope.js';

export interface ExactCacheOptions {
  readonly ttl?: Duration;
  readonly negative?: Duration;
  readonly pure?: boolean;
  readonly shared?: boolean;
  readonly freshness?: Freshness;
}

export interface ExactCache extends ExactCacheOptions {
  readonly ttl: Duration;
  /** Distinguishes it from a semantic cache. */
  readonly kind: 'exact';
}

/**
 * Serves the result of an earlier call with the same input, for a stage whose result depends on its input only. Compared
 * are the input's JSON (media by content), kind, pool and its weights, options, and a function's code.
 * Results are kept apart by tenant and caller, and shared by all stages of all pipelines that make the same call with the
 * same time to live. Of identical calls at the same time, on any worker, only one is made. The texts of an `embed` stage are looked up
 * one by one; stages that embed the same text at the same time all do. When the cache cannot be reached, the stage runs
 * without it.
 *
 * A stage with effects is refused (`INVALID_PIPELINE`).
 *
 * @param options.ttl how long a result may be served; default one day
 * @param options.negative how long a failure that the same input causes again is served (`INVALID_INPUT`,
 *   `INVALID_MEDIA`, `CONTEXT_TOO_LONG`, `LENGTH`, `CHECK_TOO_COSTLY`); default: failures are not cached. Not for `embed`
 * @param options.pure states that the stage has no effects and reads nothing but its input. Required for functions
 *   (`code`), `http` with GET or HEAD, `infer` and your own kinds whose effects are `possible`
 * @param options.shared callers with different keys or users share results; default false
 * @param options.freshness `untilMidnight`: results expire at the end of the day in this time zone; `version`: they expire
 *   with the version of the data that they are made from
 */
export const exact = (options: ExactCacheOptions = {}): ExactCache => ({ ttl: '1d', ...options, kind: 'exact' });

const KEYS = ['kind', 'ttl', 'negative', 'pure', 'shared', 'freshness'];

/** @param uses the stage and its alternatives */
export function resolveExact(
  cache: ExactCache,
  where: string,
  uses: readonly Served[],
  scope: GraphScope,
): ExactCachePlan {
  checkKeys(cache, KEYS, where);
  if (cache.freshness?.timeWords !== undefined)
    throw invalid(`${where}.freshness.timeWords`, 'applies only to semantic(): an exact cache compares no texts');
  for (const use of uses) {
    const why = whyNotExact(use, cache.pure === true);
    if (why !== undefined) throw invalid(where, `cannot be exact(): ${why}`);
    const none = cache.negative === undefined ? undefined : whyNoFailures(use);
    if (none !== undefined) throw invalid(`${where}.negative`, none);
  }
  return {
    kind: 'exact',
    ...resolveFreshness(cache, where, scope),
    ...(cache.negative !== undefined && { negativeMs: durationMs(cache.negative, `${where}.negative`) }),
    ...(cache.pure === true && { pure: true as const }),
  };
}

type Served = Pick<StageUse<never, never>, 'kind' | 'effects' | 'with'> | Alternative;
