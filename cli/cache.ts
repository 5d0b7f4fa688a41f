import type { Redis } from 'ioredis';
import { Budget, clearCache, embedderOf, inspectText } from '../activities/cache/index.js';
import { MillraceError } from '../pipelines/errors.js';
import { Evidence, STEPS } from '../stores/evidence/index.js';
import { connected } from '../stores/redis/index.js';
import { createMetrics } from '../telemetry/metrics.js';
import { createLogger } from '../workers/logger.js';
import { openPools } from '../workers/pools.js';
import type { Settings } from '../workers/settings.js';
import { openStore } from '../workers/stores.js';
import { interruptible } from './interruptible.js';
import { print, printJson, show, table } from './output.js';
import { requireTenant } from './require-tenant.js';

export interface CacheOptions {
  readonly tenant: string;
  readonly json?: boolean;
}

export interface InspectOptions extends CacheOptions {
  readonly embedder: string;
}

/** Longest wait for the store, for each of its commands, or for the embedder, in milliseconds. */
const TIMEOUT_MS = 10_000;

/**
 * `millrace cache report`: what the caches of a tenant take and have saved, what is known of the error rate of each
 * stage's hits, and what it permits.
 */
export async function reportCache(settings: Settings, { tenant, json }: CacheOptions): Promise<void> {
  await withStore(settings, async (redis) => {
    const stages = (await new Evidence(redis).all(tenant)).map(([, state]) => ({
      stage: state.stage ?? '',
      ...(state.with !== undefined && { entailment: state.with }),
      maxErrorRate: state.maxErrorRate,
      labels: state.counts.labels,
      wrong: state.counts.wrong,
      interval: state.interval,
      threshold: state.open === 0 ? null : (STEPS[state.open] ?? null),
      hitRate: state.lookups === 0 ? null : state.hits / state.lookups,
      reported: state.reported,
      closed: state.closed,
    }));
    const most = settings.MILLRACE_TENANT_CACHE_HELD_BYTES;
    const held = await new Budget(redis, most).held(tenant);
    if (json) {
      printJson({ tenant, held: { ...held, mostBytes: most }, stages });
      return;
    }
    show(
      `Tenant "${tenant}": ${held.entries} cached answers and embeddings, ${megabytes(held.bytes)} of ${most === 0 ? 'no limit' : megabytes(most)}; ` +
        `${held.hits} hits have saved ${Math.round(held.savedMs / 1_000)} s of calls; ${held.evicted} evicted.`,
    );
    if (stages.length === 0) show(`No stage of tenant "${tenant}" has labels: semantic() with maxErrorRate gets them.`);
    else
      print(
        table(
          [
            'stage',
            'max error',
            'labels',
            'wrong',
            'error rate (90 %)',
            'verifier from',
            'hit rate',
            'reported',
            'closed',
          ],
          stages.map((each) => [
            each.entailment === undefined ? each.stage : `${each.stage} with ${each.entailment}`,
            percent(each.maxErrorRate),
            each.labels,
            each.wrong,
            `${percent(each.interval[0])} to ${percent(each.interval[1])}`,
            each.threshold === null ? 'closed' : each.threshold.toFixed(2),
            each.hitRate === null ? '' : percent(each.hitRate),
            each.reported,
            each.closed,
          ]),
        ),
      );
  });
}

/** `millrace cache inspect`: the cached texts near a text, and why they are no hits. */
export async function inspectCache(settings: Settings, text: string, options: InspectOptions): Promise<void> {
  const { tenant, embedder, json } = options;
  const logger = createLogger({ ...settings, MILLRACE_LOG_LEVEL: 'silent' }, 'cache');
  const pools = await openPools(settings, { metrics: createMetrics(), logger });
  try {
    await withStore(settings, async (redis) => {
      const vector = await embedderOf(pools, embedder).embed(text, AbortSignal.timeout(TIMEOUT_MS), { tenant });
      const near = await inspectText(redis, tenant, text, vector);
      if (json) printJson({ tenant, text, near });
      else if (near.length === 0) show(`Tenant "${tenant}" has no cached texts.`);
      else
        print(
          table(
            ['similarity', 'cached text', 'difference', 'verifier'],
            near.map((each) => [
              each.similarity.toFixed(3),
              each.text,
              each.difference ?? 'none: the guard serves it',
              each.score?.toFixed(2) ?? '',
            ]),
          ),
        );
    });
  } finally {
    pools.close();
  }
}

/** `millrace cache clear`: removes all answers and embeddings that are cached for a tenant. */
export async function clearCaches(settings: Settings, { tenant, json }: CacheOptions): Promise<void> {
  requireTenant(tenant);
  await withStore(settings, async (redis) => {
    const budget = new Budget(redis, settings.MILLRACE_TENANT_CACHE_HELD_BYTES);
    const removed = await interruptible((signal) => clearCache(redis, budget, tenant, signal));
    if (json) printJson({ tenant, removed });
    else show(`${removed} cached answers and embeddings of tenant "${tenant}" removed`);
  });
}

const megabytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

async function withStore(settings: Settings, work: (redis: Redis) => Promise<void>): Promise<void> {
  const logger = createLogger({ ...settings, MILLRACE_LOG_LEVEL: 'silent' }, 'cache');
  // Nothing else waits for these commands, unlike those of a stage.
  const redis = openStore(settings, 'cache', logger, TIMEOUT_MS);
  try {
    await connected(redis, TIMEOUT_MS);
    await redis.ping().catch((cause: unknown) => {
      const message = 'the cache cannot be reached: start the stack (millrace up), or see REDIS_CACHE_URL';
      throw new MillraceError('STORE_UNAVAILABLE', message, {}, { cause });
    });
    await work(redis);
  } finally {
    redis.disconnect();
  }
}
