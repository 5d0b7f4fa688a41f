import type { PlacedPool } from '../document/index.js';
import { blocksOf, fieldNames, numbersOf, scalarOf, withFields } from './pbtxt.js';

/**
 * Batches that may wait for each instance of a model. Further calls belong in Temporal's queue, where priority orders
 * them and another device can take them: a full queue answers UNAVAILABLE at once, which the stage's policy retries.
 */
const QUEUED_BATCHES = 8;
/** Minimum queue length: a burst of single requests is no overload. */
const LEAST_QUEUED = 32;

const MICROSECONDS = 1_000;

/** Where a server runs a model: on the GPU of this index, in the server's numbering, on several of its GPUs, or on the CPU. */
export type OnDevice = { readonly gpu: number } | 'gpus' | 'cpu';

/**
 * The model's configuration for a server on one device: instances, batches and queue come from the placement, merged field by
 * field into the author's (tensors, backend, parameters, warm-up, accelerators, priorities, order, timeouts). Without a base
 * Triton completes what the model reports. What the author's form of the model excludes is left as it is:
 *
 * - an ensemble has no instances and no batches of its own;
 * - `max_batch_size: 0` says that the model has no batch dimension: it gets instances only;
 * - a sequence batcher, or no batcher beside an explicit `max_batch_size` of 1, keeps its own;
 * - an LLM gets instances only: its engine batches, and the vLLM backend does not load with a `max_batch_size` above 0.
 * @param instances of the model on the device
 */
export function tritonConfig(pool: PlacedPool, on: OnDevice, instances: number, base = ''): string {
  const { maxBatch, preferredBatchSizes, maxQueueDelayMs, model, variant } = pool;
  const header = `# By millrace apply: ${model}, ${variant}.\n`;
  const names = fieldNames(base);
  if (names.has('ensemble_scheduling') || /^"?ensemble"?$/.test(scalarOf(base, 'platform') ?? ''))
    return `${header}${base}`;
  const group = instanceGroup(base, {
    count: `count: ${instances}`,
    ...kindAndGpus(pool, on, base),
  });
  const isUnbatched =
    scalarOf(base, 'max_batch_size') === '0' || (base !== '' && !names.has('max_batch_size') && names.has('input'));
  if (isUnbatched || names.has('sequence_batching') || pool.batching === 'continuous' || isVllm(base)) {
    return withFields(base, { instance_group: `${header}${group}` });
  }
  const queued = Math.max(LEAST_QUEUED, QUEUED_BATCHES * maxBatch * instances);
  const before = blocksOf(base, 'dynamic_batching')[0] ?? '';
  // Triton refuses a preferred size above the largest batch: the author's may be.
  const sizes = preferredBatchSizes.length > 0 ? preferredBatchSizes : numbersOf(before, 'preferred_batch_size');
  const preferred = sizes.filter((size) => size <= maxBatch);
  const policy = withFields(blocksOf(before, 'default_queue_policy')[0] ?? '', {
    max_queue_size: `max_queue_size: ${queued}`,
  });
  return withFields(base, {
    max_batch_size: `${header}max_batch_size: ${maxBatch}`,
    instance_group: group,
    dynamic_batching: dynamicBatching(before, {
      preferred,
      delayMicroseconds: Math.round(maxQueueDelayMs * MICROSECONDS),
      more: { default_queue_policy: `default_queue_policy {${inBraces(policy)}}` },
    }),
  });
}

const isVllm = (base: string): boolean => scalarOf(base, 'backend') === 'vllm';

/**
 * What an instance runs on. `KIND_MODEL` leaves it to the model, which takes GPUs from the first on that the server sees: so on several GPUs,
 * and with the vLLM backend, which for `KIND_GPU` overwrites `CUDA_VISIBLE_DEVICES` by the index in the server's numbering. An author's
 * `KIND_MODEL` stays, except on a CPU: a Triton there sees the node's GPUs. So does the `KIND_CPU` of an LLM: the engine of TensorRT-LLM has
 * its GPUs from parameters.
 */
function kindAndGpus({ batching }: PlacedPool, on: OnDevice, base: string): { kind: string; gpus: string | null } {
  const written = blocksOf(base, 'instance_group').map((group) => scalarOf(group, 'kind'));
  if (on === 'cpu' || (batching === 'continuous' && written.includes('KIND_CPU')))
    return { kind: 'kind: KIND_CPU', gpus: null };
  if (on === 'gpus' || isVllm(base) || written.includes('KIND_MODEL')) return { kind: 'kind: KIND_MODEL', gpus: null };
  return { kind: 'kind: KIND_GPU', gpus: `gpus: [ ${on.gpu} ]` };
}

/** Settings of a model that decide how Triton batches its requests. */
export interface BatchSettings {
  /** Absent: the author's, also where there is none. */
  readonly maxBatch?: number;
  /** Instances of the only group; absent: the author's groups stay as they are. */
  readonly instances?: number;
  /** Absent: the author's batcher stays as it is, also where there is none. */
  readonly batcher?: {
    /** None of them above `maxBatch`, which Triton refuses. Empty: Triton fills batches as far as it can. */
    readonly preferred: readonly number[];
    readonly delayMicroseconds: number;
  };
}

/** The author's configuration with these settings, merged field by field; devices, queues and everything else stay. */
export function withBatchSettings(base: string, { maxBatch, instances, batcher }: BatchSettings): string {
  return withFields(base, {
    ...(maxBatch !== undefined && { max_batch_size: `max_batch_size: ${maxBatch}` }),
    ...(instances !== undefined && { instance_group: instanceGroup(base, { count: `count: ${instances}` }) }),
    ...(batcher && { dynamic_batching: dynamicBatching(blocksOf(base, 'dynamic_batching')[0] ?? '', batcher) }),
  });
}

/** The batcher `before` with these settings in place of its own. */
function dynamicBatching(
  before: string,
  {
    preferred,
    delayMicroseconds,
    more = {},
  }: Required<BatchSettings>['batcher'] & { readonly more?: Readonly<Record<string, string>> },
): string {
  const batching = withFields(before, {
    preferred_batch_size: preferred.length > 0 ? `preferred_batch_size: [ ${preferred.join(', ')} ]` : null,
    max_queue_delay_microseconds: `max_queue_delay_microseconds: ${delayMicroseconds}`,
    ...more,
  });
  return `dynamic_batching {\n${indented(batching)}\n}`;
}

/** The author's only group with some of its fields replaced; several groups are replaced by one. */
function instanceGroup(base: string, fields: Readonly<Record<string, string | null>>): string {
  const groups = blocksOf(base, 'instance_group');
  const kept = groups.length === 1 ? (groups[0] ?? '') : '';
  return `instance_group [ {${inBraces(withFields(kept, fields))}} ]`;
}

/** Fields between braces: on one line, unless a comment among them would take the rest of that line. */
const inBraces = (fields: string): string =>
  fields.includes('#') ? `\n${indented(fields)}\n` : ` ${fields.trim().replace(/\n/g, ' ')} `;

const indented = (text: string): string =>
  text
    .trim()
    .split('\n')
    .map((line) => `  ${line.trim()}`)
    .join('\n');
