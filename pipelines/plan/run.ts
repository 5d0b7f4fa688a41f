import type { Json, JsonObject } from '../json.js';
import type { CachePlan, Plan } from './plan.js';

/** Where a stage runs: decided before the run starts and snapshotted into it with the plan. */
export interface StagePlacement {
  readonly connector: string;
  /** The device's label, e.g. `cpu0`, `gpu1`; several endpoints' labels joined by `,`. */
  readonly device: string;
  /** Temporal task queue. */
  readonly queue: string;
}

export type Placement = Readonly<Record<string, StagePlacement>>;

/** Second argument of the workflow; the first is the pipeline's input. */
export interface RunContext {
  readonly plan: Plan;
  readonly placement: Placement;
  readonly tenant: string;
}

/** Second argument of a stage's activity; the first is the stage's resolved input. */
export interface StageCall {
  readonly pipeline: string;
  readonly version: string;
  readonly tenant: string;
  readonly stage: string;
  readonly kind: string;
  readonly model: string;
  readonly with: JsonObject;
  /** The semantic cache to ask first, its key resolved; `context` is the input without the key. */
  readonly cache?: Omit<CachePlan, 'key'> & { readonly key: string; readonly context: Json };
}

/**
 * What the cache did for a stage: `off` it has none, `hit` an earlier answer was served, `miss` the model was asked and its
 * answer kept, `shared` an identical request in flight gave its answer, `bypass` the cache could not be reached.
 */
export type CacheOutcome = 'off' | 'hit' | 'miss' | 'shared' | 'bypass';

/** What a stage's activity returns. */
export interface StageOutcome {
  readonly output: JsonObject;
  readonly endpoint: string;
  readonly device: string;
  readonly attempt: number;
  readonly cache: CacheOutcome;
  /** From the time this attempt could start to the time it did, in milliseconds. */
  readonly queueMs: number;
  readonly runMs: number;
}

/** A row of a run's stage table. */
export interface StageRecord {
  readonly stage: string;
  readonly kind: string;
  readonly connector: string;
  readonly model: string;
  readonly device: string;
  /** `cancelled`: it ran when another stage's failure, or the deadline, ended the run. */
  readonly status: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly endpoint?: string;
  readonly attempt?: number;
  readonly cache?: CacheOutcome;
  readonly queueMs?: number;
  readonly runMs?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/** What the workflow returns. */
export interface RunResult {
  readonly output: JsonObject;
  readonly stages: readonly StageRecord[];
}

/** Names of Temporal search attributes that a run carries. */
export const SEARCH_ATTRIBUTES = {
  pipeline: 'MillracePipeline',
  version: 'MillraceVersion',
  tenant: 'MillraceTenant',
  cacheHit: 'MillraceCacheHit',
} as const;

/** Query that returns the live `StageRecord[]`. */
export const STAGES_QUERY = 'stages';
