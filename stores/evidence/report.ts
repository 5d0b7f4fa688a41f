import type { Redis } from 'ioredis';
import { isJsonObject } from '../../pipelines/json.js';
import type { CachedBy } from '../../pipelines/run/index.js';
import { cachePrefix, keySegment } from '../redis/index.js';
import { Evidence } from './evidence.js';
import { stepOf } from './threshold.js';

/**
 * A caller says that a cached answer was wrong: the answer and every text that shares it are removed, the hit counts as
 * an error, and the stage's verifier closes until new labels permit it again. A second report of the same hit finds
 * nothing and counts for nothing.
 *
 * @param tenant the caller's: entries of others are out of reach, whatever `entry` names
 * @returns false if the entry had gone already
 */
export async function reportWrong(redis: Redis, tenant: string, { entry, tier, score }: CachedBy): Promise<boolean> {
  const [, partition, id] = /^([0-9a-f]{64}):([0-9a-f]{32})$/.exec(entry) ?? [];
  if (partition === undefined || id === undefined) return false;
  const prefix = cachePrefix(tenant, partition);
  const key = `${prefix}:entry:${id}`;
  const judged = judgedIn(await redis.get(key));
  // Texts that share the answer point to this one.
  const removed = await redis.del(key);
  // Without vector sets there is no vector.
  await redis.call('VREM', `${prefix}:vectors`, id).catch(() => undefined);
  if (removed === 0) return false;
  if (judged?.startsWith(`millrace:cache-evidence:{${keySegment(tenant)}}:`))
    await new Evidence(redis).reportWrong(judged, stepIn(tier, score), SCORED[tier]);
  return true;
}

/** The step of a hit; the guard's is the first. */
const stepIn = (tier: CachedBy['tier'], score = 0): number => (SCORED[tier] === 'neither' ? 0 : (stepOf(score) ?? 0));

/** What a hit was scored by. */
const SCORED = { exact: 'neither', guard: 'neither', verifier: 'alone', entailment: 'with' } as const;

function judgedIn(stored: string | null): string | undefined {
  if (stored === null) return undefined;
  try {
    const entry: unknown = JSON.parse(stored);
    return isJsonObject(entry) && typeof entry.judged === 'string' ? entry.judged : undefined;
  } catch {
    return undefined;
  }
}
