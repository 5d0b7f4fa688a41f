import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { PlacementDocument } from '../document/index.js';
import type { PoolBase } from './pool-base.js';
import type { ModelServer } from './servers.js';

/** Upper limit of an endpoint's concurrency in a models file. */
const MOST_CONCURRENCY = 4_096;

/**
 * A models file (`MILLRACE_MODELS`) with the placement's endpoints, each labelled with its device and limited to its
 * batch size of concurrent calls. Pools that the placement does not name stay unchanged. Throws `INVALID_PLACEMENT` for
 * one without a base.
 * @param hostOf the host name under which workers reach a server
 */
export function modelsFile(
  { pools }: PlacementDocument,
  servers: readonly ModelServer[],
  base: Readonly<Record<string, PoolBase>>,
  hostOf: (server: ModelServer) => string,
): JsonObject {
  const placed = pools.map((pool) => {
    const known = base[pool.model];
    if (known === undefined) {
      const message = `no pool of the models file has the name ${pool.model}: add one with the model’s connector and kind`;
      throw new MillraceError('INVALID_PLACEMENT', message, { fields: [{ field: `pools.${pool.model}`, message }] });
    }
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
    return [pool.model, { ...known, endpoints: [...running, ...own] }] as const;
  });
  return { ...base, ...Object.fromEntries(placed) } as unknown as JsonObject;
}

const atOnce = (maxBatch: number, instances: number): number => Math.min(MOST_CONCURRENCY, maxBatch * instances);

/** Triton is called by gRPC, on the port after its HTTP port. */
const urlOf = ({ type, port }: ModelServer, host: string): string =>
  type === 'vllm' ? `http://${host}:${port}/v1` : `${host}:${port + 1}`;
