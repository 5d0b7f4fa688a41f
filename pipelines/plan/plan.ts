import type { Json, JsonObject } from '../json.js';
import type { Binding } from './binding.js';

/** Format of the plan. The interpreter refuses a number it does not know. */
export const PLAN_VERSION = 1;

/**
 * A pipeline definition compiled to plain JSON. Every default is resolved in it, so that it means the same under any
 * later release; its canonical text's hash is the pipeline's *version*, and each run carries the whole plan.
 */
export interface Plan {
  readonly planVersion: number;
  readonly name: string;
  /** First 12 hex digits of the sha256 of the canonical JSON of the plan without this field. */
  readonly version: string;
  /** The whole run must end within this time, in milliseconds. */
  readonly deadlineMs: number;
  readonly stages: readonly StagePlan[];
  readonly output: Binding;
}

export interface StagePlan {
  readonly id: string;
  /** Stage kind: a key of `STAGE_KINDS`. */
  readonly kind: string;
  /** Name of the pool that serves it, or of the function of a `code` stage. */
  readonly model: string;
  /** The kind's own options, e.g. `system` and `maxTokens` of `chat`. */
  readonly with: JsonObject;
  readonly input: Binding;
  readonly policy: StagePolicy;
  readonly cache?: CachePlan;
}

/** How Temporal treats the stage's activity. All times in milliseconds. */
export interface StagePolicy {
  readonly retry: RetryPolicy;
  readonly timeout: {
    /** One attempt, from its start (Temporal: start-to-close). */
    readonly attemptMs: number;
    /** All attempts with the waits between (Temporal: schedule-to-close). */
    readonly totalMs: number;
  };
  /** `queued`: an activity on its task queue. `inline`: a local activity in the worker that runs the workflow. */
  readonly execution: 'queued' | 'inline';
}

export interface RetryPolicy {
  /** Most attempts, the first included; at most this many calls reach the model server. */
  readonly attempts: number;
  readonly initialMs: number;
  /** Each wait is the one before times this. */
  readonly factor: number;
  readonly maxMs: number;
}

export interface CachePlan {
  readonly kind: 'semantic';
  /** The text whose meaning is looked up. */
  readonly key: Binding;
  readonly ttlMs: number;
  /** Least cosine similarity of two keys' embeddings for a hit. */
  readonly minSimilarity: number;
  /** Pool that embeds the key. */
  readonly embedder: string;
}

export type PlanBody = Omit<Plan, 'version'>;
export const asJson = (plan: PlanBody | Plan): Json => plan as unknown as Json;
