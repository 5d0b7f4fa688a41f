import type { StageFigures } from '../workload/index.js';
import type { Table } from './table.js';

/** Calls of a stage that differ between runs. */
export interface FanOut {
  /** Calls of a run on average. */
  readonly mean: number;
  /** Share of the runs with at least one. */
  readonly some: number;
  /** The column of the load with the calls of each run. Absent: every run has the mean. */
  readonly column?: string | undefined;
}

/** A stage of one of the simulated pipelines. */
export interface SimulatedStage extends StageFigures {
  /** The most calls of a run, a whole number. */
  readonly calls: number;
  /** How the calls differ between runs. Absent: all have as many. */
  readonly fanOut?: FanOut | undefined;
  /** Index of its pipeline. */
  readonly pipeline: number;
  /** Index of the pool that serves it. */
  readonly pool: number;
  /** Indexes, among all stages, of its predecessors. */
  readonly after: readonly number[];
  /** The predecessor whose output it reads piece by piece while it is made; both have one call a run. Absent: none. */
  readonly streamFrom?: number;
}

/**
 * A figure of a stage to record for each run, in milliseconds. `first`: from the run's arrival to the stage's first output,
 * the first token of an LLM, else the end of its first call. `token`: from its first token to its last, for each token
 * after the first. `whole`: from when its inputs were there to its end.
 */
export interface Observed {
  readonly stage: number;
  readonly metric: 'first' | 'token' | 'whole';
}

/** A pool in a placement. */
export interface SimulatedPool {
  readonly batching: 'dynamic' | 'continuous';
  readonly maxBatch: number;
  /** Preferred batch sizes, ascending; empty: the largest alone. */
  readonly preferred: readonly number[];
  readonly maxQueueDelayMs: number;
  readonly replicas: readonly SimulatedReplica[];
  /**
   * Its replicas only process the prompts of the calls of this pool, which pulls their key-value caches and generates;
   * `tokenBytes`: of a token in the cache, on all devices of a replica together. Absent: each pool serves its calls alone.
   */
  readonly handsTo?: { readonly pool: number; readonly tokenBytes: number } | undefined;
}

export interface SimulatedReplica {
  /** Index of the (first) device that it runs on. */
  readonly device: number;
  /** All devices that it spans. Absent: that one. */
  readonly spans?: readonly number[] | undefined;
  /** By stage: the time of its calls here; undefined for stages of other pools. */
  readonly tables: readonly (Table | undefined)[];
  /** Most tokens in its key-value cache (continuous batching). */
  readonly mostTokens: number;
}

export interface SimulatedPlacement {
  readonly pools: readonly SimulatedPool[];
}

/** Devices and transfers. */
export interface SimulatedDevices {
  /** Concurrent calls that slow each other no more than `slowdown` says, by device. */
  readonly concurrency: readonly number[];
  /** By device: how many times as long a call takes while as many run. Absent: 1. */
  readonly slowdown?: readonly number[] | undefined;
  /** By device: it runs batches beyond its concurrency one after the other. Absent: every device is shared evenly. */
  readonly serial?: readonly boolean[] | undefined;
  /** Milliseconds to move bytes from one device to another. */
  transferMs(from: number, to: number, bytes: number): number;
}

export interface SimulationOptions {
  readonly seed?: number;
  /** Stop as soon as more runs than this are too slow: the objective can no longer be met. */
  readonly giveUp?: { readonly afterMs: number; readonly late: number };
  /** The same for each observed figure: stop as soon as more runs than this are above it. */
  readonly limits?: readonly { readonly afterMs: number; readonly late: number }[];
  /** Runs in flight above which arrivals are refused. */
  readonly admit?: number;
  /** Speed of the load: it arrives this many times as fast. */
  readonly speed?: number;
  /** Factor on every call's time. */
  readonly slowdown?: number;
  /** Stops the simulation as if it had given up; read every some thousand events. */
  readonly expired?: () => boolean;
  /** Includes values that require sorting: the 99th percentile of each stage's wait, else NaN. */
  readonly detailed?: boolean;
}

export interface SimulationResult {
  /** Of each request in milliseconds; infinite: it fits no replica; NaN: it failed, was refused, or had not ended when the simulation stopped. */
  readonly latencyMs: Float64Array;
  /** By observed figure, of each request; NaN: it has none; infinite: it fits no replica. */
  readonly observed: readonly Float64Array[];
  readonly completed: number;
  readonly failed: number;
  readonly refused: number;
  /** Runs with a call that fits the memory of no replica; their latency is infinite. */
  readonly oversized: number;
  /** By pool: the most calls that waited when a batch began, those of the batch included. Valid until the next simulation. */
  readonly waiting: Int32Array;
  /** Sequences that lost their place in memory. */
  readonly preemptions: number;
  readonly gaveUp: boolean;
  /** From the first arrival to the last end. */
  readonly spanMs: number;
  /** Share of the span that each device was busy. */
  readonly utilisation: Float64Array;
  readonly stages: readonly StageResult[];
  /** By stage: how its calls pass from one pool to another; absent: none does. */
  readonly handovers?: readonly (HandoverResult | undefined)[];
}

export interface StageResult {
  readonly calls: number;
  readonly meanWaitMs: number;
  readonly waitP99Ms: number;
  readonly meanServiceMs: number;
  /**
   * Average number of calls in a call's batch; with continuous batching, sequences running when one joined, itself
   * included.
   */
  readonly meanBatch: number;
  /** Queued calls, averaged over the span. */
  readonly meanQueue: number;
}

/** Of a stage whose prompts one pool processes and whose answers another generates: means over its calls. */
export interface HandoverResult {
  /** From the start of a prompt to the end of its batch. */
  readonly prefillMs: number;
  /** Wait for a replica that generates, and then for the cache. */
  readonly waitMs: number;
  readonly transferMs: number;
  /** Sequences of a replica when one joined, itself included. */
  readonly batch: number;
}
