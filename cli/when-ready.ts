import { setTimeout as sleep } from 'node:timers/promises';
import type { RegisteredConnector } from '../activities/connectors/index.js';
import { connectorOf, connectTo, type FindEndpoints, type ModelsConfig } from '../activities/pools/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { limited } from '../runtime/limited.js';
import { connectorsOf } from '../workers/connectors.js';
import { endpointFinder } from '../workers/discovery.js';
import type { Settings } from '../workers/settings.js';

/** Longest time of one call: the first one of a server may compile. */
const CALL_MS = 120_000;
const AGAIN_MS = 2_000;

/**
 * Waits until every endpoint of these pools has answered a real call of its model twice: the first one warms it up, the second
 * shows that it stays. Of pools with `discover` all servers that are found then must answer, and at least one be found. Throws
 * `BACKEND_UNAVAILABLE` naming the endpoints that did not within the time, `INVALID_SETTING` for a pool that cannot be called.
 */
export async function whenReady(
  settings: Settings,
  models: ModelsConfig,
  pools: readonly string[],
  withinMs: number,
): Promise<void> {
  const connectors = connectorsOf(settings);
  const find = endpointFinder(settings);
  const until = performance.now() + withinMs;
  const waits = pools.flatMap((name) => {
    const pool = models[name];
    if (pool === undefined) return [];
    const connector = connectorOf(name, pool, connectors);
    const { signal } = new AbortController();
    return partsOf(name, pool).map(async ({ field, part }) => {
      for (let answered = 0; ; ) {
        try {
          const left = Math.max(1, Math.min(CALL_MS, until - performance.now()));
          await limited(left, signal, (own) => callEach(name, part, { connector, find }, own));
          answered += 1;
          if (answered === 2) return [];
        } catch (error) {
          if (error instanceof MillraceError && error.code === 'INVALID_SETTING') throw error;
          answered = 0;
          if (performance.now() >= until) return [{ field, message: messageOf(error) }];
          await sleep(Math.min(AGAIN_MS, Math.max(0, until - performance.now())));
        }
      }
    });
  });
  const fields = (await Promise.all(waits)).flat();
  if (fields.length === 0) return;
  const message = `not ready after ${Math.round(withinMs / 1000)} s: ${fields.map(({ field, message: why }) => `${field}: ${why}`).join('; ')}`;
  throw new MillraceError('BACKEND_UNAVAILABLE', `${message}. The placement of new runs is as before`, { fields });
}

type PoolConfig = ModelsConfig[string];

/** What is waited for: each endpoint of a pool with its servers, or all those that a file lists. */
const partsOf = (name: string, pool: PoolConfig): readonly { readonly field: string; readonly part: PoolConfig }[] =>
  typeof pool.discover === 'object'
    ? [{ field: name, part: pool }]
    : pool.endpoints.map((endpoint) => ({
        field: `${name} at ${endpoint.url}`,
        part: { ...pool, endpoints: [endpoint] },
      }));

/** Calls the model at each server that the pool has now. Throws what a call throws, or that there is no server. */
async function callEach(
  name: string,
  pool: PoolConfig,
  { connector, find }: { readonly connector: RegisteredConnector; readonly find: FindEndpoints },
  signal: AbortSignal,
): Promise<void> {
  const servers = await find(name, pool, signal);
  if (servers.length === 0) throw new MillraceError('BACKEND_UNAVAILABLE', 'its discover finds no server');
  const calls = servers.map(async (server) => {
    const backend = connectTo(connector, server, pool);
    try {
      await backend.probe(pool.model, pool.kind, signal);
    } finally {
      backend.close();
    }
  });
  // Waits for all: calls left at a slow server would add up with those of the next attempts.
  await Promise.allSettled(calls);
  await Promise.all(calls);
}
