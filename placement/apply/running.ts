import { type PlacementDocument, servedModel } from '../document/index.js';
import type { Inventory } from '../inventory/index.js';
import type { PoolBase } from './pool-base.js';

/**
 * The placement with replicas only at running servers that their pools can call. A plan knows no connectors: it takes an endpoint of the
 * inventory that names no models for a server of any. Where such a server has another connector than the pool, the replica gets the
 * device's running server of its own connector, or else none: one is started for it.
 */
export function atCallable(
  placement: PlacementDocument,
  { endpoints }: Inventory,
  base: Readonly<Record<string, PoolBase>>,
): { readonly placement: PlacementDocument; readonly notes: readonly string[] } {
  const notes = new Set<string>();
  const pools = placement.pools.map((pool) => {
    const connector = base[servedModel(pool)]?.connector;
    const replicas = pool.replicas.map((replica) => {
      const there = endpoints.filter(({ device }) => device === replica.devices[0]);
      const stated = there.filter(({ url }) => url === replica.endpoint);
      const [other] = stated;
      const isCallable = stated.some((each) => each.connector === connector || each.models.includes(pool.model));
      if (other === undefined || connector === undefined || isCallable) return replica;
      const own = there.find(
        ({ connector: its, models }) => its === connector && (models.length === 0 || models.includes(pool.model)),
      );
      notes.add(
        `${pool.model} on ${other.device}: ${other.url} is a server of the connector ${other.connector}, and the pool’s is ${connector}: ${own ? `${own.url} is called` : 'a server is started for it'}. Name the models of each endpoint in cluster.yaml, and place again`,
      );
      const { endpoint: _, ...started } = replica;
      return own ? { ...replica, endpoint: own.url } : started;
    });
    return { ...pool, replicas };
  });
  return { placement: { ...placement, pools }, notes: [...notes] };
}
