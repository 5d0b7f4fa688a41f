import { type PlacedPool, type PlacementDocument, sealPlacement } from '../document/index.js';

/**
 * A proposal that is the placement in force, but for what that does not state: a placement of an earlier release has no `chunkTokens`,
 * no memory of an LLM's replica whose tokens are of unknown size, and no `reservedBytes`, with which its version would be another. It is then the
 * same one, without them. Nor is it another one if only the memory differs that the average sequences of the measured load need (`memoryBytes` of
 * a pool), where each replica states its own, with which its server is started. Any other proposal stays as it is.
 */
export function unlessStated(before: PlacementDocument, proposal: PlacementDocument): PlacementDocument {
  const { version: _, ...body } = proposal;
  const inForce = new Map(before.pools.map((pool) => [pool.model, pool]));
  const pools = body.pools.map((pool) => {
    const own = inForce.get(pool.model);
    const chunked = own?.chunkTokens === undefined ? withoutChunks(pool) : pool;
    const statesMemory = own?.replicas.some(({ memoryBytes }) => memoryBytes !== undefined) === true;
    if (own === undefined || !statesMemory) return withCacheOf(own, withoutMemory(chunked));
    const isStarted = pool.replicas.every(({ memoryBytes }) => memoryBytes !== undefined);
    return withCacheOf(own, isStarted ? { ...chunked, memoryBytes: own.memoryBytes } : chunked);
  });
  const same = sealPlacement({ ...body, pools });
  return same.version === before.version ? same : proposal;
}

const withoutChunks = ({ chunkTokens: _, replicas, ...pool }: PlacedPool): PlacedPool => ({
  ...pool,
  replicas: replicas.map(({ chunkTokens: __, ...replica }) => replica),
});

/** Replicas with a cache of known size have stated their memory in all releases. */
const withoutMemory = ({ replicas, ...pool }: PlacedPool): PlacedPool => ({
  ...pool,
  replicas: replicas.map(({ memoryBytes, ...replica }) =>
    replica.cacheTokens === undefined || memoryBytes === undefined ? replica : { ...replica, memoryBytes },
  ),
});

/** What a server reserves was a part of its cache in earlier releases: replicas on the same devices keep the figures that they have in force. */
function withCacheOf(own: PlacedPool | undefined, pool: PlacedPool): PlacedPool {
  if (own === undefined || own.replicas.some(({ reservedBytes }) => reservedBytes !== undefined)) return pool;
  const inForce = new Map(own.replicas.map((replica) => [replica.devices.join(), replica]));
  const counted = pool.replicas.map((replica) => {
    const { reservedBytes, ...others } = replica;
    const { cacheTokens, memoryBytes } = inForce.get(replica.devices.join()) ?? {};
    if (reservedBytes === undefined || cacheTokens === undefined || memoryBytes === undefined) return replica;
    return { ...others, cacheTokens, memoryBytes };
  });
  const isCounted = counted.some((replica, i) => replica !== pool.replicas[i]);
  return isCounted ? { ...pool, memoryBytes: own.memoryBytes, replicas: counted } : pool;
}
