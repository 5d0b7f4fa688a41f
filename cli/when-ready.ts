import { setTimeout as sleep } from 'node:timers/promises';
import { connectorOf, type ModelsConfig } from '../activities/pools/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { limited } from '../runtime/limited.js';
import { connectorsOf } from '../workers/connectors.js';
import type { Settings } from '../workers/settings.js';

/** Longest time of one call: the first one of a server may compile. */
const CALL_MS = 120_000;
const AGAIN_MS = 2_000;

/**
 * Waits until every endpoint of these pools has answered a real call of its model twice: the first one warms it up, the second
 * shows that it stays. Throws `BACKEND_UNAVAILABLE` naming the endpoints that did not within the time.
 */
export async function whenReady(
  settings: Settings,
  models: ModelsConfig,
  pools: readonly string[],
  withinMs: number,
): Promise<void> {
  const connectors = connectorsOf(settings);
  const until = performance.now() + withinMs;
  const waits = pools.flatMap((name) => {
    const pool = models[name];
    return (pool?.endpoints ?? []).map(async ({ url }) => {
      if (pool === undefined) return [];
      const backend = connectorOf(name, pool, connectors).connect(url, pool);
      const { signal } = new AbortController();
      try {
        for (let answered = 0; ; ) {
          try {
            const left = Math.max(1, Math.min(CALL_MS, until - performance.now()));
            await limited(left, signal, (own) => backend.probe(pool.model, pool.kind, own));
            answered += 1;
            if (answered === 2) return [];
          } catch (error) {
            answered = 0;
            if (performance.now() >= until) return [{ field: `${name} at ${url}`, message: messageOf(error) }];
            await sleep(Math.min(AGAIN_MS, Math.max(0, until - performance.now())));
          }
        }
      } finally {
        backend.close();
      }
    });
  });
  const fields = (await Promise.all(waits)).flat();
  if (fields.length === 0) return;
  const message = `not ready after ${Math.round(withinMs / 1000)} s: ${fields.map(({ field, message: why }) => `${field}: ${why}`).join('; ')}`;
  throw new MillraceError('BACKEND_UNAVAILABLE', `${message}. The placement of new runs is as before`, { fields });
}
