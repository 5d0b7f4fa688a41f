import type { PlacementDocument } from '../document/index.js';
import type { Candidate, Problem, Replica } from '../planner/index.js';

/**
 * An earlier placement as a candidate, without the replicas on lost devices. Undefined if the files no longer have one
 * of its variants, batches or the profile of a device that it uses, or if a pool has no replica left.
 */
export function candidateOf(problem: Problem, { pools }: PlacementDocument): Candidate | undefined {
  const places = new Map(problem.devices.map(({ id }, d) => [id, d]));
  const configs: number[] = [];
  const replicas: Replica[] = [];
  const delaysMs: number[] = [];
  for (const [p, { model, configs: known, handsTo }] of problem.pools.entries()) {
    const placed = pools.find((pool) => pool.model === model);
    if (placed === undefined) return undefined;
    const config = known.findIndex(
      ({ variant, batching, uses }) =>
        variant === placed.variant &&
        batching === placed.batching &&
        // How many prompts a step has depends on the load: that pool has one configuration.
        (handsTo !== undefined || uses.some((use) => use?.maxBatch === placed.maxBatch)),
    );
    const left = placed.replicas.flatMap(({ devices }): Replica[] => {
      const found = devices.flatMap((id) => places.get(id) ?? []);
      return found.length === devices.length ? [{ pool: p, devices: found }] : [];
    });
    const uses = known[config]?.uses ?? [];
    const profiled = left.every(({ devices }) => {
      const kinds = devices.map((device) => problem.cells[problem.cellOf[device] ?? 0]?.kind ?? 0);
      return kinds.every((kind) => uses[kind]?.width === devices.length);
    });
    if (left.length === 0 || !profiled) return undefined;
    configs.push(config);
    replicas.push(...left);
    delaysMs.push(placed.maxQueueDelayMs);
  }
  return delaysMs.some((ms) => ms > 0) ? { configs, replicas, delaysMs } : { configs, replicas };
}
