import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { calledPools, type PlacedPool, type PlacementDocument } from '../document/index.js';
import { modelAt, type PoolBase } from './pool-base.js';
import type { ModelServer } from './servers.js';

/** Upper limit of an endpoint's concurrency in a models file. */
const MOST_CONCURRENCY = 4_096;

/**
 * A models file (`MILLRACE_MODELS`) with the placement's endpoints, each labelled with its device and limited to its
 * batch size of concurrent calls. Pools that the placement does not name stay unchanged. Throws `INVALID_PLACEMENT` for
 * one without a base.
 * @param hostOf the host name under which workers reach a server
 * @param routers URL of the router before a pool served apart
 */
export function modelsFile(
  placement: PlacementDocument,
  servers: readonly ModelServer[],
  base: Readonly<Record<string, PoolBase>>,
  hostOf: (server: ModelServer) => string,
  routers: ReadonlyMap<string, string> = new Map(),
): JsonObject {
  const placed = calledPools(placement).map((pool) => {
    const known = base[pool.model];
    if (known === undefined) {
      const message = `no pool of the models file has the name ${pool.model}: add one with the model’s connector and kind`;
      throw new MillraceError('INVALID_PLACEMENT', message, { fields: [{ field: `pools.${pool.model}`, message }] });
    }
    const router = routers.get(pool.model);
    if (router !== undefined)
      return [pool.model, { ...known, model: modelAt(base, pool), endpoints: [routed(pool, router)] }] as const;
    const running = pool.replicas.flatMap(({ endpoint, devices: [device = ''] }) =>
      endpoint === undefined ? [] : [{ url: endpoint, device, concurrency: atOnce(pool.maxBatch, 1) }],
    );
    const own = servers.flatMap((server) =>
      server.hosted
        .filter((hosted) => hosted.pool === pool)
        .map(({ instances }) => ({
          url: urlOf(server, hostOf(server)),
          device: server.devices[0]?.id ?? '',
          concurrency: atOnce(pool.maxBatch, instances),
        })),
    );
    const placedAt = { model: modelAt(base, pool), ...affinityOf(pool, known), endpoints: [...running, ...own] };
    return [pool.model, { ...known, ...placedAt }] as const;
  });
  return { ...base, ...Object.fromEntries(placed) } as unknown as JsonObject;
}

/**
 * Ids of the devices by which the models file labels the placement's endpoints, also of servers that run already: workers take the calls of
 * their queues. Of a model served apart the first replica's stands for the router.
 */
export const labelsOf = (placement: PlacementDocument): readonly string[] => {
  const called = calledPools(placement).flatMap(({ apart, replicas }) => (apart ? replicas.slice(0, 1) : replicas));
  return [...new Set(called.flatMap(({ devices }) => devices.slice(0, 1)))];
};

/** The affinity that the prediction counts on. A plan without one is kept by any. */
const affinityOf = ({ prefixCache }: PlacedPool, { kind }: PoolBase) =>
  prefixCache === undefined || prefixCache.affinity === 'none' || kind !== 'chat'
    ? {}
    : { affinity: prefixCache.affinity };

/** The router takes calls for all replicas; workers know it by the first one's device. */
const routed = ({ replicas, maxBatch }: PlacedPool, url: string) => ({
  url: `${url}/v1`,
  device: replicas[0]?.devices[0] ?? '',
  concurrency: atOnce(maxBatch, replicas.length),
});

const atOnce = (maxBatch: number, instances: number): number => Math.min(MOST_CONCURRENCY, maxBatch * instances);

/** Triton is called by gRPC, on the port after its HTTP port. */
const urlOf = ({ type, port }: ModelServer, host: string): string =>
  type === 'vllm' ? `http://${host}:${port}/v1` : `${host}:${port + 1}`;
