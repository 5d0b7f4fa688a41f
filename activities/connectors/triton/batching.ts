import type { ModelConfig } from '../../../protocols/open-inference/index.js';
import type { Batching, BatchWork } from '../connector.js';

/** How a model's calls are batched: not at all without a batch dimension and a batching scheduler. */
export function batchingOf(config: ModelConfig | undefined): Batching {
  const { max_batch_size: most = 0, dynamic_batching: dynamic, instance_group: groups = [] } = config ?? {};
  return {
    most: dynamic ? Math.max(1, most) : 1,
    preferred: [...(dynamic?.preferred_batch_size ?? [])].sort((a, b) => a - b),
    delayMs: Number(dynamic?.max_queue_delay_microseconds ?? 0) / 1_000,
    instances: Math.max(
      1,
      groups.reduce((sum, { count }) => sum + count, 0),
    ),
  };
}

/** Work of all versions of a model, by batch size. */
export function together(batches: readonly BatchWork[]): BatchWork[] {
  const sums = new Map<number, BatchWork>();
  for (const { size, count, computeMs } of batches) {
    const before = sums.get(size);
    sums.set(size, { size, count: count + (before?.count ?? 0), computeMs: computeMs + (before?.computeMs ?? 0) });
  }
  return [...sums.values()];
}
