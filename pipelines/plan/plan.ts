import type { Json, JsonObject } from '../json.js';
import type { Effects, OfKind } from '../stages/traits.js';
import type { Binding } from './binding.js';

/** Plan format. The interpreter refuses any other number. */
export const PLAN_VERSION = 3;

/** Steps and the output computed from them. A step may read earlier steps, and those of enclosing graphs. */
export interface Graph {
  readonly stages: readonly Step[];
  readonly output: Binding;
}

/**
 * A pipeline definition compiled to plain JSON. All defaults are resolved, so that later releases interpret it the same
 * way. The hash of its canonical JSON is the pipeline's *version*; each run carries the whole plan.
 */
export interface Plan extends Graph {
  readonly planVersion: number;
  readonly name: string;
  /** First 12 hex digits of the sha256 of the canonical JSON of the plan without this field. */
  readonly version: string;
  /** Deadline of the whole run, in milliseconds. */
  readonly deadlineMs: number;
  /** What the record of a run keeps. Absent: `full`. */
  readonly record?: RecordLevel;
}

/**
 * What a run's record keeps of each call besides its outcome: `outputs` its output and a digest of its input; `off`
 * nothing, and the run cannot be resumed. Absent: its output and a small input too.
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
  /** Tried in order after the stage has failed for good; `skip` makes its output null. */
  readonly fallback?: readonly (Alternative | 'skip')[];
  /** Used when less than `belowMs` of the run's time is left for the stage; the smallest matching `belowMs` applies. */
  readonly degrade?: readonly DegradePlan[];
  /** Time of the run's deadline that earlier stages must leave for this one, in milliseconds. */
  readonly reserveMs?: number;
  /**
   * Fields of the input that are read while another stage of the same graph makes them. Their binding in `input` is the
   * same value, collected: a host without streams uses it.
   */
  readonly streams?: Readonly<Record<string, StreamPlan>>;
  /**
   * Its streams that other stages read. Of a voice `chunks`: callers hear the pieces of its audio while they are made; `pieces`: something of
   * the plan reads them, as the stream `chunks` or as a list, which is then part of its output.
   */
  readonly streamed?: readonly string[];
  /**
   * If a streamed answer breaks off and no attempt can continue it: the stage ends with what there is; or the next answer takes its place, if
   * nothing was made of it. Otherwise, and absent, it fails. Of audio, when an alternative with another voice follows: the stage ends, or
   * the alternative goes on (`fallback`).
   */
  readonly onCut?: 'end' | 'restart' | 'fallback';
}

/** An edge on which a stage reads another one's output while it is made. */
export interface StreamPlan {
  /** The stage, or the `each`, whose output is read. */
  readonly from: string;
  /** Which of its streams: `sentences`, `tokens`, `entries`, `chunks`. */
  readonly of: string;
  /** The stage may start over (`onCut`). Absent: it does not. */
  readonly restarts?: true;
}

/** What serves a stage. */
export interface Alternative extends OfKind {
  /** Stage kind: a key of `STAGE_KINDS`, or the name of a kind made with `defineKind`, `acme/segment`. */
  readonly kind: string;
  /** Effects of the calls of a kind made with `defineKind`, or of a tool that runs code; those of the others are known. */
  readonly effects?: Effects;
  /** Name of the pool that serves it, or of a `code` stage's function. */
  readonly model: string;
  /** Options of the kind, e.g. `system` and `maxTokens` of `chat`. */
  readonly with: JsonObject;
  /** Version of a `code` stage's function. Absent: the plan was not loaded by a deployment, and any version matches. */
  readonly codeVersion?: string;
}

/** The fields of a step or tool that say what serves it. */
export const servedAs = ({ kind, effects, model, with: options, codeVersion }: Alternative): Alternative => ({
  kind,
  ...(effects !== undefined && { effects }),
  model,
  with: options,
  ...(codeVersion !== undefined && { codeVersion }),
});

/** The stage, served by an alternative. */
export function serveAs({ codeVersion: _, effects: __, ...stage }: StagePlan, by: Alternative): StagePlan {
  return { ...stage, ...servedAs(by) };
}

/** The calls that a stage may make: its own, and those of its fallbacks and of its degradation. */
export function callsOf(stage: StagePlan): readonly Alternative[] {
  const { fallback = [], degrade = [] } = stage;
  return [stage, ...[...fallback, ...degrade.map(({ to }) => to)].filter((each) => typeof each === 'object')];
}

export interface DegradePlan {
  readonly belowMs: number;
  /** `cached`: a cached answer; without one the next tighter rung applies. */
  readonly to: Alternative | 'cached' | 'skip';
}

/** A branch. Its value is that of the graph taken; null if there is none. */
export interface WhenPlan {
  readonly id: string;
  readonly kind: 'when';
  readonly condition: Binding;
  readonly body: Graph;
  readonly otherwise?: Graph;
}

/** A graph run for each item of a list, as `<id>/item` and `<id>/index`. Its value is the list of values, in order. */
export interface EachPlan {
  readonly id: string;
  readonly kind: 'each';
  readonly over: Binding;
  /** Maximum number of items at once. */
  readonly concurrency: number;
  /** Effect of a failed item: ends the run, is null in the list, or is omitted. */
  readonly onFailure: 'fail' | 'null' | 'drop';
  readonly body: Graph;
  /** `over` is read while another step of the same graph makes it; its binding is the same list, collected. */
  readonly streams?: Readonly<Record<string, StreamPlan>>;
  /** Its values are read while it runs. */
  readonly streamed?: readonly string[];
}

/**
 * A graph repeated on its own value, with `<id>/state` and `<id>/round` (from 1) in scope. Its value is the last state.
 */
export interface RepeatPlan {
  readonly id: string;
  readonly kind: 'repeat';
  readonly start: Binding;
  /** Evaluated after each round; `<id>/state` is the round's value. */
  readonly until: Binding;
  readonly atMost: number;
  /** After `atMost` rounds without `until`: accept the last state, or fail. */
  readonly onLimit: 'accept' | 'fail';
  readonly body: Graph;
}

/** Graphs that run concurrently. Its value is `{ winner, value }` of the first to succeed; the others are cancelled. */
export interface RacePlan {
  readonly id: string;
  readonly kind: 'race';
  readonly contenders: Readonly<Record<string, Graph>>;
}

/** Another pipeline, inside this run or as a child run. Its stage ids and `input` have the prefix `<id>/`. */
export interface SubPipelinePlan {
  readonly id: string;
  readonly kind: 'pipeline';
  readonly input: Binding;
  /** `child`: a child workflow, typed by the pipeline's name, with its own history and deadline. */
  readonly run: 'inline' | 'child';
  readonly plan: Plan;
}

/** How a stage's calls are made. All times are in milliseconds. */
export interface StagePolicy {
  readonly retry: RetryPolicy;
  readonly timeout: {
    /** One attempt, from its start (Temporal: start-to-close). */
    readonly attemptMs: number;
    /** All attempts with the waits between (Temporal: schedule-to-close). */
    readonly totalMs: number;
    /** From the time that an attempt could start until a model server accepts it. */
    readonly queueMs?: number;
    /** From the start of the model call to the first chunk of text or audio. */
    readonly firstChunkMs?: number;
    /** Between two chunks. */
    readonly idleMs?: number;
  };
  /** `queued`: an activity on its task queue. `inline`: part of a segment in the worker that runs the workflow. */
  readonly execution: 'queued' | 'inline';
  /** Absent: the run's priority. */
  readonly priority?: Priority;
  readonly hedge?: HedgePolicy;
  /**
   * Maximum wait for a server that is away before the stage's next alternative applies, in milliseconds; 0: no wait.
   * Absent without an alternative: the stage then waits until its total timeout.
   */
  readonly patienceMs?: number;
}

/** Order in which waiting calls are served. */
export type Priority = 'interactive' | 'default' | 'batch';
export const PRIORITIES: readonly Priority[] = ['interactive', 'default', 'batch'];

/** Temporal priority keys: 1 is first, 5 last, 3 the default. */
export const PRIORITY_KEYS: Readonly<Record<Priority, number>> = { interactive: 1, default: 3, batch: 5 };

/**
 * The order of a run's tasks in Temporal's queues: by priority, and among tasks of one priority tenants take turns if the server has
 * fairness turned on. A server that knows neither ignores both. The name of a tenant has at most 63 bytes, a key may have 64.
 * @param priority absent: that of the workflow that schedules the task, else Temporal's default
 */
export const queueOrder = (tenant: string, priority?: Priority) => ({
  fairnessKey: tenant,
  ...(priority !== undefined && { priorityKey: PRIORITY_KEYS[priority] }),
});

export interface RetryPolicy {
  /** Maximum attempts, including the first; at most this many calls (and their hedges) reach the model server. */
  readonly attempts: number;
  readonly initialMs: number;
  /** Multiplier from one wait to the next. */
  readonly factor: number;
  readonly maxMs: number;
  /** Random share of each wait: 0.2 waits between 80 and 120 %. */
  readonly jitter?: number;
  /** Error codes that are retried; absent: all marked `retry` or `heal` in the error table. */
  readonly on?: readonly string[];
}

/** A second call when the first is late; the slower one is cancelled. Exactly one of the fields is set. */
export interface HedgePolicy {
  readonly afterMs?: number;
  /** Percentile of the pool's recent latencies, e.g. 95. */
  readonly percentile?: number;
}

export type CachePlan = SemanticCachePlan | ExactCachePlan;

/** How long answers are served, and to whom. */
interface CacheFreshness {
  readonly ttlMs: number;
  /** All principals of the tenant share the answers. */
  readonly shared?: true;
  /** Answers end with the day in this time zone (IANA name), if not before. */
  readonly untilMidnight?: string;
  /** Version of what answers are made from: those made from another one are not served. */
  readonly version?: Binding;
}

/** The result of an earlier call with the same input. */
export interface ExactCachePlan extends CacheFreshness {
  readonly kind: 'exact';
  /** How long a failure that the same input causes again is served. Absent: failures are not cached. */
  readonly negativeMs?: number;
  /** The author states that the stage has no effects and that its input alone determines its result. */
  readonly pure?: true;
}

/** The answer to an earlier text with the same meaning. */
export interface SemanticCachePlan extends CacheFreshness {
  readonly kind: 'semantic';
  /** The text whose meaning is looked up. */
  readonly key: Binding;
  /** Minimum cosine similarity of two keys' embeddings for a hit. */
  readonly minSimilarity: number;
  /** Pool that embeds the key. */
  readonly embedder: string;
  /** Greatest share of wrong answers among the hits. Absent: only texts that the guard takes for the same hit. */
  readonly maxErrorRate?: number;
  /** Share of hits that are asked again to measure the error rate. Absent: 0.02. */
  readonly reask?: number;
  readonly agree?: CacheAgreement;
  /** A served model that the verifier asks too. Absent: the small model of Millrace alone. */
  readonly verifier?: CacheVerifier;
  /** Texts whose answer depends on when they are asked are cached too. */
  readonly timely?: true;
}

/** A served model that says how surely a text entails another. */
export interface CacheVerifier {
  /** Pool of the kind `classify` over two texts, or of the kind `rerank` whose scores are from 0 to 1. */
  readonly entailment: string;
  /** Of a classifier: the label of its scores that means entailment. */
  readonly label: string;
  /** Longest wait for it, in milliseconds; a lookup is then decided without it. */
  readonly timeoutMs: number;
}

/** What a stage's cache reads beside the stage's input. */
export const cacheKeyOf = ({ cache }: Pick<StagePlan, 'cache'>): Binding => {
  const key = cache?.kind === 'semantic' ? cache.key : null;
  return cache?.version === undefined ? key : [key, cache.version];
};

/**
 * When a fresh answer says the same as a cached one: `text` the same text, up to case, spaces and marks; `fields` equal
 * values in these output fields; `similarity` a cosine of the texts' embeddings of at least so much, and equal numbers;
 * `model` the same text, or what a `chat` pool says of the two.
 */
export type CacheAgreement =
  | { readonly by: 'text' }
  | { readonly by: 'fields'; readonly fields: readonly string[] }
  | { readonly by: 'similarity'; readonly atLeast: number }
  | { readonly by: 'model'; readonly model: string };

export type PlanBody = Omit<Plan, 'version'>;
export const asJson = (plan: PlanBody | Plan): Json => plan as unknown as Json;

/** Whether a step is a stage, i.e. is executed under a policy. */
export const isStage = (step: Step): step is StagePlan => 'policy' in step;

/** The graphs inside a step; none for a stage. A child run's graph does not belong to this run. */
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
