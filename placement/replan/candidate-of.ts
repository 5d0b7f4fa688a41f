import type { PlacementDocument } from '../document/index.js';
import type { Candidate, Problem, Replica } from '../planner/index.js';

/**
 * An earlier placement as a candidate, without the replicas on lost devices. Undefined if the files no longer have one
 * of its variants or batches, or if a pool has no replica left.
 */
export function candidateOf(problem: Problem, { pools }: PlacementDocument): Candidate | undefined {
  const places = new Map(problem.devices.map(({ id }, d) => [id, d]));
  const configs: number[] = [];
  const replicas: Replica[] = [];
  for (const [p, { model, configs: known }] of problem.pools.entries()) {
    const placed = pools.find((pool) => pool.model === model);
    if (placed === undefined) return undefined;
    const config = known.findIndex(
      ({ variant, batching, uses }) =>
        variant === placed.variant &&
        batching === placed.batching &&
        uses.some((use) => use?.maxBatch === placed.maxBatch),
    );
    const left = placed.replicas.flatMap(({ devices }): Replica[] => {
      const found = devices.flatMap((id) => places.get(id) ?? []);
      return found.length === devices.length ? [{ pool: p, devices: found }] : [];
    });
    if (config < 0 || left.length === 0) return undefined;
    configs.push(config);
    replicas.push(...left);
  }
  return { configs, replicas };
}
