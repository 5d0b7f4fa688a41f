import type { StageFigures } from '../workload/index.js';
import type { Table } from './table.js';

/** A stage of one of the simulated pipelines. */
export interface SimulatedStage extends StageFigures {
  /** Place of its pipeline. */
  readonly pipeline: number;
  /** Place of the pool that serves it. */
  readonly pool: number;
  /** Places, among all stages, of what has to end before. */
  readonly after: readonly number[];
}

/** A pool as a placement makes it. */
export interface SimulatedPool {
  readonly batching: 'dynamic' | 'continuous';
  readonly maxBatch: number;
  /** Sizes of batch that are formed early, rising; empty: the largest alone. */
  readonly preferred: readonly number[];
  readonly maxQueueDelayMs: number;
  readonly replicas: readonly SimulatedReplica[];
}

export interface SimulatedReplica {
  /** Place of the (first) device that it runs on. */
  readonly device: number;
  /** By stage: what a call of it takes here; undefined for stages of other pools. */
  readonly tables: readonly (Table | undefined)[];
  /** Most tokens in memory (continuous batching). */
  readonly mostTokens: number;
}

export interface SimulatedPlacement {
  readonly pools: readonly SimulatedPool[];
}

/** Where and how things move. */
export interface SimulatedDevices {
  /** Calls that each device runs at once without slowing them. */
  readonly concurrency: readonly number[];
  /** Milliseconds to move bytes from one device to another. */
  transferMs(from: number, to: number, bytes: number): number;
}

export interface SimulationOptions {
  readonly seed?: number;
  /** Stop as soon as more runs than these have taken longer: they cannot meet their objective any more. */
  readonly giveUp?: { readonly afterMs: number; readonly late: number };
  /** Runs in flight beyond which arrivals are refused. */
  readonly admit?: number;
  /** The load arrives this many times as fast. */
  readonly speed?: number;
  /** Every call takes this many times as long. */
  readonly slowdown?: number;
  /** With what has to be sorted for: the 99th percentile of each stage's wait, else NaN. */
  readonly detailed?: boolean;
}

export interface SimulationResult {
  /** Of each request in milliseconds; NaN: it failed, was refused, or had not ended when it was given up. */
  readonly latencyMs: Float64Array;
  readonly completed: number;
  readonly failed: number;
  readonly refused: number;
  readonly gaveUp: boolean;
  /** From the first arrival to the last end. */
  readonly spanMs: number;
  /** Share of the span that each device was busy. */
  readonly utilisation: Float64Array;
  readonly stages: readonly StageResult[];
}

export interface StageResult {
  readonly calls: number;
  readonly meanWaitMs: number;
  readonly waitP99Ms: number;
  readonly meanServiceMs: number;
  /** Calls in the batch of a call, on average; of continuous batching sequences that ran when one joined, itself included. */
  readonly meanBatch: number;
  /** Calls in queue, averaged over the span. */
  readonly meanQueue: number;
}
