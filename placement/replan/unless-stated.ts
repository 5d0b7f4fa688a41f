import { type PlacedPool, type PlacementDocument, sealPlacement } from '../document/index.js';

/**
 * A proposal that is the placement in force, but for what that does not state: a placement of an earlier release has no `chunkTokens`, and
 * no memory of an LLM's replica whose tokens are of unknown size, with which its version would be another. It is then the same one, without
 * them. Nor is it another one if only the memory differs that the average sequences of the measured load need (`memoryBytes` of a pool), where
 * each replica states its own, with which its server is started. Any other proposal stays as it is.
 */
export function unlessStated(before: PlacementDocument, proposal: PlacementDocument): PlacementDocument {
  const { version: _, ...body } = proposal;
  const inForce = new Map(before.pools.map((pool) => [pool.model, pool]));
  const pools = body.pools.map((pool) => {
    const own = inForce.get(pool.model);
    const chunked = own?.chunkTokens === undefined ? withoutChunks(pool) : pool;
    const statesMemory = own?.replicas.some(({ memoryBytes }) => memoryBytes !== undefined) === true;
    if (own === undefined || !statesMemory) return withoutMemory(chunked);
    return pool.replicas.every(({ memoryBytes }) => memoryBytes !== undefined)
      ? { ...chunked, memoryBytes: own.memoryBytes }
      : chunked;
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
