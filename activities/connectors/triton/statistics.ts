import type { Int64, StatisticsMessage } from '../../../protocols/open-inference/index.js';
import type { BatchWork } from '../connector.js';

/** Statistics of one version of a model since it was loaded, as counted by the server. */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  /** Batch elements. */
  readonly inferences: number;
  /** Batches. */
  readonly executions: number;
  /** Requests answered; for a decoupled model cancelled ones too. */
  readonly succeeded: number;
  readonly failed: number;
  /** Total time that requests waited for an instance, in milliseconds. */
  readonly queueMs: number;
  /** Total time of their batches in milliseconds, a batch's full time counted for each of its requests. */
  readonly computeMs: number;
  /** By batch size: number of batches and their total time. */
  readonly batches: readonly BatchWork[];
}

export const statisticsOf = (message: StatisticsMessage): ModelStatistics => ({
  name: message.name,
  version: message.version,
  inferences: numberOf(message.inference_count),
  executions: numberOf(message.execution_count),
  succeeded: numberOf(message.inference_stats?.success?.count),
  failed: numberOf(message.inference_stats?.fail?.count),
  queueMs: milliseconds(message.inference_stats?.queue?.ns),
  computeMs: computed(message.inference_stats),
  batches: (message.batch_stats ?? []).map((batch) => ({
    size: numberOf(batch.batch_size),
    count: numberOf(batch.compute_infer?.count),
    computeMs: computed(batch),
  })),
});

const COMPUTE = ['compute_input', 'compute_infer', 'compute_output'] as const;
const computed = (parts: Readonly<Partial<Record<(typeof COMPUTE)[number], { readonly ns: Int64 } | null>>> | null) =>
  COMPUTE.map((part) => milliseconds(parts?.[part]?.ns)).reduce((sum, ms) => sum + ms);

/** Counts stay below 2^53. */
const numberOf = (count: Int64 = 0): number => Number(count);
const milliseconds = (ns: Int64 = 0): number => Number(ns) / 1e6;
