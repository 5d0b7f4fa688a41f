import { type PlacedPool, type PlacementDocument, sealPlacement } from '../document/index.js';

/**
 * A proposal that is the placement in force, but for what that does not state: a placement of an earlier release has no `chunkTokens`, with
 * which its version would be another. It is then the same one, without them. Any other proposal stays as it is.
 */
export function unlessStated(before: PlacementDocument, proposal: PlacementDocument): PlacementDocument {
  const { version: _, ...body } = proposal;
  const states = new Set(before.pools.flatMap(({ model, chunkTokens }) => (chunkTokens === undefined ? [] : [model])));
  const pools = body.pools.map((pool) => (states.has(pool.model) ? pool : withoutChunks(pool)));
  const same = sealPlacement({ ...body, pools });
  return same.version === before.version ? same : proposal;
}

const withoutChunks = ({ chunkTokens: _, replicas, ...pool }: PlacedPool): PlacedPool => ({
  ...pool,
  replicas: replicas.map(({ chunkTokens: __, ...replica }) => replica),
});
