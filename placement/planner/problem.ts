import type { Device, Inventory } from '../inventory/index.js';
import type { Profile } from '../profiles/index.js';
import type { Load, SimulatedDevices, SimulatedStage, Table } from '../simulator/index.js';

/** What a placement has to hold, at the percentile that it names. */
export interface Objective {
  readonly p95Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
}

/** Everything that the planner decides on, in numbers: kinds, pools and stages by their places. */
export interface Problem {
  readonly inventory: Inventory;
  readonly devices: readonly Device[];
  readonly simulated: SimulatedDevices;
  readonly cells: readonly Cell[];
  /** The cell of each device. */
  readonly cellOf: readonly number[];
  readonly kinds: readonly string[];
  readonly stages: readonly SimulatedStage[];
  /** `<pipeline>/<stage>`. */
  readonly stageNames: readonly string[];
  readonly pools: readonly PoolProblem[];
  readonly load: Load;
  readonly objective: Objective;
  readonly assumptions: readonly string[];
}

/** Devices that are alike: of one kind and price, on one node. */
export interface Cell {
  readonly kind: number;
  readonly node: string;
  readonly pricePerHour: number;
  readonly concurrency: number;
  readonly memoryBytes: number;
  readonly devices: readonly number[];
}

export interface PoolProblem {
  readonly model: string;
  /** Ways to serve it: variants by batch sizes. */
  readonly configs: readonly Config[];
}

export interface Config {
  readonly variant: string;
  readonly quality: number;
  readonly batching: 'dynamic' | 'continuous';
  readonly maxBatch: number;
  /** By kind; undefined where it was not profiled or does not fit. */
  readonly uses: readonly (Use | undefined)[];
}

/** A replica of a configuration on a kind of device. */
export interface Use {
  readonly profile: Profile;
  readonly maxBatch: number;
  readonly preferred: readonly number[];
  /** Devices of a replica. */
  readonly width: number;
  /** On each of them. */
  readonly memoryBytes: number;
  readonly mostTokens: number;
  readonly tables: readonly (Table | undefined)[];
  /** What the pool's stages take in full batches, each once, in milliseconds. */
  readonly batchMs: number;
  /** Replicas that the whole load keeps busy, in batches as large as they help: no placement needs fewer. */
  readonly erlangs: number;
  /** The same in batches whose own time leaves the objective within reach; infinite when none does. */
  readonly reachableErlangs: number;
}

/** Calls of a stage that reach its pool, for each run: branches, caches and repeated attempts counted. */
export function callsPerRun({ calls, share, cacheHitRate, failureRate, attempts }: SimulatedStage): number {
  let tries = 0;
  for (let i = 0; i < attempts; i += 1) tries += failureRate ** i;
  return calls * share * (1 - cacheHitRate) * tries;
}
