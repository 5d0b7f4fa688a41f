import type { PlacedPool } from '../document/index.js';
import { withFields } from './pbtxt.js';

/**
 * Batches that may wait for each instance of a model. Further calls belong in Temporal's queue, where priority orders
 * them and another device can take them: a full queue answers UNAVAILABLE at once, which the stage's policy retries.
 */
const QUEUED_BATCHES = 8;
/** Minimum queue length: a burst of single requests is no overload. */
const LEAST_QUEUED = 32;

const MICROSECONDS = 1_000;

/** Where a server runs a model: on the GPU of this index, in the server's numbering, or on the CPU. */
export type OnDevice = { readonly gpu: number } | 'cpu';

/**
 * The model's configuration for a server on one device: instances, batches and queue come from the placement, the rest
 * from the base (tensors, backend, parameters). Without a base Triton completes what the model reports.
 * @param instances of the model on the device
 */
export function tritonConfig(pool: PlacedPool, on: OnDevice, instances: number, base = ''): string {
  const { maxBatch, preferredBatchSizes, maxQueueDelayMs, model, variant } = pool;
  const preferred = preferredBatchSizes.filter((size) => size <= maxBatch);
  const kind = on === 'cpu' ? 'kind: KIND_CPU' : `kind: KIND_GPU gpus: [ ${on.gpu} ]`;
  const queued = Math.max(LEAST_QUEUED, QUEUED_BATCHES * maxBatch * instances);
  const batching = [
    ...(preferred.length > 0 ? [`  preferred_batch_size: [ ${preferred.join(', ')} ]`] : []),
    `  max_queue_delay_microseconds: ${Math.round(maxQueueDelayMs * MICROSECONDS)}`,
    `  default_queue_policy { max_queue_size: ${queued} }`,
  ];
  return withFields(base, {
    max_batch_size: `# By millrace apply: ${model}, ${variant}.\nmax_batch_size: ${maxBatch}`,
    instance_group: `instance_group [ { count: ${instances} ${kind} } ]`,
    dynamic_batching: `dynamic_batching {\n${batching.join('\n')}\n}`,
  });
}
