import type { Json, JsonObject } from '../json.js';
import type { Binding } from './binding.js';

/** Format of the plan. The interpreter refuses any other number. */
export const PLAN_VERSION = 3;

/** Steps and the value they are for. A step may read the steps before it, and those around its graph. */
export interface Graph {
  readonly stages: readonly Step[];
  readonly output: Binding;
}

/**
 * A pipeline definition compiled to plain JSON. Every default is resolved in it, so that it means the same under any
 * later release; its canonical text's hash is the pipeline's *version*, and each run carries the whole plan.
 */
export interface Plan extends Graph {
  readonly planVersion: number;
  readonly name: string;
  /** First 12 hex digits of the sha256 of the canonical JSON of the plan without this field. */
  readonly version: string;
  /** The whole run must end within this time, in milliseconds. */
  readonly deadlineMs: number;
  /** What the record of its runs keeps. Absent: `full`. */
  readonly record?: RecordLevel;
}

/**
 * What the record of a run keeps of each call, besides how it went: `outputs` what it gave and a digest of what it was given;
 * `off` nothing, and the run cannot be resumed. Otherwise both.
 */
export type RecordLevel = 'outputs' | 'off';

/** A stage, or control flow around graphs of steps. Ids are unique in the whole plan. */
export type Step = StagePlan | WhenPlan | EachPlan | RepeatPlan | RacePlan | SubPipelinePlan;

/** Work of one model server, function or person. */
export interface StagePlan extends Alternative {
  readonly id: string;
  readonly input: Binding;
  readonly policy: StagePolicy;
  readonly cache?: CachePlan;
  /** Taken in turn when the stage has failed for good; `skip` makes its output null. */
  readonly fallback?: readonly (Alternative | 'skip')[];
  /** Taken when less than `belowMs` of the run's time is left for the stage: the tightest rung that holds. */
  readonly degrade?: readonly DegradePlan[];
  /** Time that the stages before this one leave for it, in milliseconds: its share of the run's deadline. */
  readonly reserveMs?: number;
}

/** What serves a stage. */
export interface Alternative {
  /** Stage kind: a key of `STAGE_KINDS`. */
  readonly kind: string;
  /** Name of the pool that serves it, or of the function of a `code` stage. */
  readonly model: string;
  /** The kind's own options, e.g. `system` and `maxTokens` of `chat`. */
  readonly with: JsonObject;
  /** Version of the function of a `code` stage. Absent: the plan was not loaded by a deployment, and any will do. */
  readonly codeVersion?: string;
}

/** The fields of a step or a tool that say what serves it. */
export const servedAs = ({ kind, model, with: options, codeVersion }: Alternative): Alternative => ({
  kind,
  model,
  with: options,
  ...(codeVersion !== undefined && { codeVersion }),
});

/** The stage, served by another. */
export function serveAs({ codeVersion: _, ...stage }: StagePlan, by: Alternative): StagePlan {
  return { ...stage, ...servedAs(by) };
}

export interface DegradePlan {
  readonly belowMs: number;
  /** `cached`: an earlier answer or nothing; when there is none the next tighter rung counts. */
  readonly to: Alternative | 'cached' | 'skip';
}

/** A branch. Its value is that of the graph taken; null when there is none. */
export interface WhenPlan {
  readonly id: string;
  readonly kind: 'when';
  readonly condition: Binding;
  readonly body: Graph;
  readonly otherwise?: Graph;
}

/** A graph for each item of a list; inside it `<id>/item` and `<id>/index`. Its value is the list of values, in order. */
export interface EachPlan {
  readonly id: string;
  readonly kind: 'each';
  readonly over: Binding;
  /** Most items at once. */
  readonly concurrency: number;
  /** An item that fails: ends the run, is null in the list, or is left out of it. */
  readonly onFailure: 'fail' | 'null' | 'drop';
  readonly body: Graph;
}

/** A graph repeated on its own value; inside it `<id>/state` and `<id>/round` (from 1). Its value is the last state. */
export interface RepeatPlan {
  readonly id: string;
  readonly kind: 'repeat';
  readonly start: Binding;
  /** Looked at after each round, `<id>/state` being its value. */
  readonly until: Binding;
  readonly atMost: number;
  /** What `atMost` rounds without `until` are: good enough, or a failure. */
  readonly onLimit: 'accept' | 'fail';
  readonly body: Graph;
}

/** Graphs that run at once. Its value is `{ winner, value }` of the first that succeeds; the others are cancelled. */
export interface RacePlan {
  readonly id: string;
  readonly kind: 'race';
  readonly contenders: Readonly<Record<string, Graph>>;
}

/** Another pipeline, in this run or as a run of its own. Its stages' ids and `input` have the prefix `<id>/`. */
export interface SubPipelinePlan {
  readonly id: string;
  readonly kind: 'pipeline';
  readonly input: Binding;
  /** `child`: a child workflow, typed by the pipeline's name, with a history and a deadline of its own. */
  readonly run: 'inline' | 'child';
  readonly plan: Plan;
}

/** How a stage's calls are made. All times in milliseconds. */
export interface StagePolicy {
  readonly retry: RetryPolicy;
  readonly timeout: {
    /** One attempt, from its start (Temporal: start-to-close). */
    readonly attemptMs: number;
    /** All attempts with the waits between (Temporal: schedule-to-close). */
    readonly totalMs: number;
    /** From the time an attempt could start until a model server takes it. */
    readonly queueMs?: number;
    /** From the model call's start to its first useful chunk: text, audio. */
    readonly firstChunkMs?: number;
    /** Between two chunks. */
    readonly idleMs?: number;
  };
  /** `queued`: an activity on its task queue. `inline`: part of a segment in the worker that runs the workflow. */
  readonly execution: 'queued' | 'inline';
  /** Absent: the run's. */
  readonly priority?: Priority;
  readonly hedge?: HedgePolicy;
  /**
   * Longest wait for a server that is away before the stage's next alternative is taken, in milliseconds; 0: none. Absent
   * where there is no alternative: then the stage waits as long as it may take.
   */
  readonly patienceMs?: number;
}

/** Who goes first where calls wait. */
export type Priority = 'interactive' | 'default' | 'batch';
export const PRIORITIES: readonly Priority[] = ['interactive', 'default', 'batch'];

/** Temporal's priority keys: 1 is first, 5 last, 3 what has none. */
export const PRIORITY_KEYS: Readonly<Record<Priority, number>> = { interactive: 1, default: 3, batch: 5 };

export interface RetryPolicy {
  /** Most attempts, the first included; at most this many calls (and their hedges) reach the model server. */
  readonly attempts: number;
  readonly initialMs: number;
  /** Each wait is the one before times this. */
  readonly factor: number;
  readonly maxMs: number;
  /** Share of each wait that is random: 0.2 waits between 80 and 120 %. */
  readonly jitter?: number;
  /** Only these codes are tried again; absent: all that the error table calls `retry` or `heal`. */
  readonly on?: readonly string[];
}

/** A second call when the first is late; the slower of the two is cancelled. Exactly one of the fields. */
export interface HedgePolicy {
  readonly afterMs?: number;
  /** Percentile of the pool's recent latencies, e.g. 95. */
  readonly percentile?: number;
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

/** Whether a step is a stage: something that is carried out, and has a policy. */
export const isStage = (step: Step): step is StagePlan => 'policy' in step;

/** The graphs inside a step, none for a stage. A child run's graph is not of this run. */
export function graphsOf(step: Step): readonly Graph[] {
  if (isStage(step)) return [];
  switch (step.kind) {
    case 'when':
      return step.otherwise ? [step.body, step.otherwise] : [step.body];
    case 'race':
      return Object.values(step.contenders);
    case 'pipeline':
      return step.run === 'inline' ? [step.plan] : [];
    default:
      return [step.body];
  }
}

/** Every step of a graph and of the graphs in it, outer before inner. */
export function* allSteps(graph: Graph): Generator<Step> {
  for (const step of graph.stages) {
    yield step;
    for (const inner of graphsOf(step)) yield* allSteps(inner);
  }
}
