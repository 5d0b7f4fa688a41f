import type { Artifact } from '../artifact.js';
import type { ErrorDetails } from '../errors.js';
import { canonicalJson, type Json, type JsonObject } from '../json.js';
import type { PricePlan } from '../plan/agent.js';
import type { Binding } from '../plan/binding.js';
import type {
  ExactCachePlan,
  HedgePolicy,
  Plan,
  Priority,
  RecordLevel,
  RetryPolicy,
  SemanticCachePlan,
  Step,
} from '../plan/plan.js';
import type { Tried } from '../retry.js';
import type { Effects } from '../stages/traits.js';
import type { EventsTo } from './events.js';
import type { Decision, StageDecision } from './waits.js';

/** Where a stage runs; decided before the run starts and stored in the run with the plan. */
export interface StagePlacement {
  readonly connector: string;
  /** Device label, e.g. `cpu0`, `gpu1`; for several endpoints the labels joined by `,`. */
  readonly device: string;
  /** Temporal task queue. */
  readonly queue: string;
  /**
   * Queues of other devices that can serve it, in order. The next one is used when no worker has started the stage
   * within `patienceMs`, e.g. because its device is gone; the last one is limited by the policy alone.
   */
  readonly elsewhere?: readonly { readonly queue: string; readonly device: string }[];
  /** Maximum wait on each queue but the last, in milliseconds. */
  readonly patienceMs?: number;
  /** Price per million tokens, if the pool states one. */
  readonly price?: PricePlan;
  /** For an agent's model: its context in tokens, if the pool states it. */
  readonly contextTokens?: number;
}

/**
 * By stage id. The n-th alternative of a stage (its fallbacks, then its degrade rungs, from 1) has the key
 * `<stage>~<n>`, a stage of a child run `<step>/<stage>`.
 */
export type Placement = Readonly<Record<string, StagePlacement>>;

/** Second argument of the workflow; the first is the pipeline's input. */
export interface RunContext {
  readonly plan: Plan;
  readonly placement: Placement;
  readonly tenant: string;
  /**
   * Whose conversations its agents, and those of its child runs, take part in within the tenant: `<pipeline>/<owner>`,
   * of the pipeline that was called. Absent: the pipeline.
   */
  readonly sessionsOf?: string;
  /** Absent: `default`. */
  readonly priority?: Priority;
  /** Output fields that the caller requested; stages needed only by other fields are skipped. Absent: all. */
  readonly outputs?: readonly string[];
  /**
   * Where a caller waits for the result. A run that is one segment is answered there as soon as its last stage is in
   * the journal, before Temporal records the end.
   */
  readonly answerTo?: string;
  /** The run may be followed: its stages emit events (`RunEvent`). Of a child run: to whom. */
  readonly events?: true | EventsTo;
  /** Id of the workflow that tells receivers of webhooks about waits for a person (`deliveryId`). Absent: nobody. */
  readonly waitsTo?: string;
  /**
   * The run is one segment that a fast host runs outside Temporal, under a journal of this name. The workflow is its
   * guardian: it ends with the outcome that it receives, or takes over the segment when the fast host is gone.
   */
  readonly guarded?: string;
  /** Decisions made in the run that this one resumes, by path of the wait; they are not requested again. */
  readonly decisions?: Readonly<Record<string, Omit<StageDecision, 'path'>>>;
  /** State carried over when the run continued in a new history. */
  readonly carried?: Carried;
}

/** State that a run carries into its next history (continue-as-new). */
export interface Carried {
  /** When the run started, on the run's clock. */
  readonly startedAt: number;
  /** What has ended: values of steps, and for running loops their state and the values of finished items. */
  readonly done: Json;
  /** Decisions by nonce of the wait, the latest last, including those that the wait has not consumed yet. */
  readonly decided: Readonly<Record<string, Decision>>;
  readonly rows: readonly StageRecord[];
}

/** Second argument of a stage's activity; the first is the stage's resolved input. */
export interface StageCall {
  readonly pipeline: string;
  readonly version: string;
  readonly tenant: string;
  readonly stage: string;
  /** The stage with its enclosing items and rounds: `chunks[3]/transcribe`. Absent if it is the stage's id. */
  readonly path?: string;
  readonly kind: string;
  /** Effects of a kind made with `defineKind`. */
  readonly effects?: Effects;
  readonly model: string;
  readonly with: JsonObject;
  /** Version of a `code` stage's function; absent, any version matches. */
  readonly codeVersion?: string;
  /** The cache to query first. */
  readonly cache?: SemanticCacheCall | ExactCacheCall;
  /**
   * Of a tool's call: maximum characters of the result. A longer one is stored as a text artifact, and the outcome has
   * its beginning. `field`: the output field that is the result; absent: the whole output.
   */
  readonly fit?: { readonly characters: number; readonly field?: string };
  readonly retry: RetryPolicy;
  /** Maximum wait for a server that is away, if an alternative exists. Absent: until the total timeout. */
  readonly patienceMs?: number;
  readonly queueMs?: number;
  readonly firstChunkMs?: number;
  readonly idleMs?: number;
  readonly hedge?: HedgePolicy;
  /**
   * Fields of the input that are missing in it and read from channels while other stages write them; by field. The
   * limits of the policy then apply to each entry.
   */
  readonly reads?: Readonly<Record<string, ChannelRef>>;
  /** Streams of its output that other stages read. */
  readonly writes?: readonly string[];
  /** What happens to a stream that breaks off and cannot be continued. Absent: the stage fails. */
  readonly onCut?: 'end';
  /** With `reads`: timeout of one entry, in milliseconds. */
  readonly entryMs?: number;
  readonly priority?: Priority;
  /** The stage emits events. */
  readonly events?: true | EventsTo;
  /** Its text and reasoning are not published: they are checked first. */
  readonly muted?: true;
  /** What the run's record keeps of the call. Absent: its input and output. */
  readonly record?: RecordLevel;
  /**
   * Maximum duration of the run, in milliseconds; its record is kept from the run's end. Absent: nothing is recorded.
   */
  readonly runMs?: number;
}

interface CacheCall {
  /** Whose answers they are within the tenant: `<pipeline>/<owner>`, of an exact cache `<owner>`. Absent: everybody's. */
  readonly principal?: string;
  /** Who stores an answer: `<pipeline>/<owner>`. Absent: the pipeline. */
  readonly insertedBy?: string;
  /** Only a cached answer is acceptable: without one the stage fails with `NOT_CACHED`. */
  readonly only?: true;
}

/** The semantic cache, with its key resolved; `context` is the input without the key. */
export type SemanticCacheCall = CacheCall &
  Omit<SemanticCachePlan, 'key'> & { readonly key: string; readonly context: Json };

/** The exact cache; the call's input is the key. */
export type ExactCacheCall = CacheCall & ExactCachePlan;

/** A channel of the same run. */
export interface ChannelRef {
  /** Path of the stage that writes it. */
  readonly path: string;
  /** Which of its streams. */
  readonly of: string;
}

/** Identifies a call within a run: the stage's path and what serves it, since alternatives are separate calls. */
export const callName = ({ path, stage, ...by }: NamedCall): string =>
  `${path ?? stage} ${canonicalJson(servedBy(by))}`;

type NamedCall = Pick<StageCall, 'path' | 'stage'> & ServedBy;
type ServedBy = Pick<StageCall, 'kind' | 'model' | 'with' | 'codeVersion' | 'cache'>;

/** What serves a call. */
export const servedBy = ({ kind, model, with: options, codeVersion, cache }: ServedBy): Json[] => [
  kind,
  model,
  options,
  codeVersion ?? null,
  cache?.only ?? false,
];

/**
 * Result of the cache for a stage: `off` no cache, `hit` a cached answer was served, `miss` the model was called and
 * its answer cached, `shared` an identical request in progress supplied its answer, `bypass` the cache was unreachable.
 */
export type CacheOutcome = 'off' | 'hit' | 'miss' | 'shared' | 'bypass';

/** How a cached answer was found. */
export type CachedBy = {
  /**
   * `exact`: the same text. `guard`: another form of it. `verifier`: a text that the verifier takes for the same, while the
   * stage's measured error rate permits it.
   */
  readonly tier: 'exact' | 'guard' | 'verifier';
  /** Cosine of the embeddings of the two texts. */
  readonly similarity?: number;
  /** The verifier's score, from 0 to 1. */
  readonly score?: number;
  /** Upper 90 % bound of the stage's error rate at that moment. */
  readonly bound?: number;
  /** The entry, for a report that it was wrong. */
  readonly entry: string;
};

/** What a stage's activity returns. */
export interface StageOutcome {
  readonly output: JsonObject;
  readonly endpoint: string;
  readonly device: string;
  readonly attempt: number;
  readonly cache: CacheOutcome;
  /** Of a cached answer. */
  readonly cachedBy?: CachedBy;
  /** Time between when this attempt could start and when it started, in milliseconds. */
  readonly queueMs: number;
  readonly runMs: number;
  /** Conversions of input media: `audio: 44100 Hz stereo resampled to 16000 Hz mono`. */
  readonly conversions?: readonly string[];
  /** The second call of a hedge responded first. */
  readonly hedged?: true;
  /** The result comes from the record of the run that this one resumes: no call was made. */
  readonly resumed?: true;
  /** Usage of the call, if reported by the server. */
  readonly usage?: TokenUsage;
  /** The result was longer than the call's `fit`; the output is then empty. */
  readonly whole?: WholeResult;
}

/** A tool's result that is too long for a conversation. */
export interface WholeResult {
  /** Its text. */
  readonly artifact: Artifact;
  /** Length of the text. */
  readonly characters: number;
  readonly beginning: string;
}

/** Tokens of model calls, and their cost by the prices of their pools, where these state one. */
export type TokenUsage = { readonly inputTokens?: number; readonly outputTokens?: number; readonly cost?: number };

/** A tool call of an agent, as its row shows it. */
export type MadeCall = {
  readonly turn: number;
  readonly name: string;
  /** As in the agent's output: `done`, `failed`, `refused` or `wrong`. */
  readonly end: string;
  /** Why it is not `done`. */
  readonly code?: string;
};

/** A row of a run's stage table. */
export interface StageRecord {
  readonly stage: string;
  readonly kind: string;
  readonly connector: string;
  readonly model: string;
  readonly device: string;
  /**
   * `cancelled`: it was running when another stage's failure, a race or the deadline ended it. `skipped`: its branch
   * was not taken, its output was not requested, or there was no time for it.
   */
  readonly status: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'skipped';
  /** How often it has ended and started, if not once. */
  readonly count?: { readonly done: number; readonly started: number };
  readonly endpoint?: string;
  readonly attempt?: number;
  readonly cache?: CacheOutcome;
  readonly cachedBy?: CachedBy;
  readonly queueMs?: number;
  readonly runMs?: number;
  readonly conversions?: readonly string[];
  readonly hedged?: true;
  /** Some of its calls were not made: their results come from the record of the run that this one resumes. */
  readonly resumed?: true;
  /**
   * Tokens of all successful calls as reported by servers, with their cost: including those of the resumed run, of
   * child runs and of an agent's tools.
   */
  readonly usage?: TokenUsage;
  /**
   * Current activity of an agent: its turn, the tools it calls, the person it waits for; or the server that is awaited.
   */
  readonly doing?: string;
  /** Calls that an agent has made, the latest last and 50 at most: also of one that failed. */
  readonly calls?: readonly MadeCall[];
  /** Why an alternative served it: the error code of the candidate before it, or `degraded`. */
  readonly instead?: string;
  /** Decisions on its waits, the latest last; for an agent, on its tool calls. */
  readonly decisions?: readonly StageDecision[];
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * State that an attempt of a stage's activity passes to the next, as its heartbeat details. Anything not known to be a
 * wait counts as a call, because an attempt whose worker was lost may have made one.
 */
export type AttemptState = Tried & {
  /** What the connector needs to continue where it was. */
  readonly progress?: Json;
  /** While waiting for a server that is away: the stage, and a description of the wait. */
  readonly stage?: string;
  readonly doing?: string;
};

/** Number of calls made by earlier attempts. `attempt`: Temporal's count, from 1. */
export const callsBefore = (attempt: number, { waits }: Pick<Tried, 'waits'>): number =>
  Math.max(0, attempt - 1 - waits);

/** Description of a stage whose server is away: `waiting for assistant`. */
export const waitingFor = ({ model }: Pick<StageCall, 'model'>, { pool }: Pick<ErrorDetails, 'pool'> = {}): string =>
  `waiting for ${pool ?? model}`;

/** What the workflow returns. */
export interface RunResult {
  readonly output: JsonObject;
  readonly stages: readonly StageRecord[];
}

/** Inline steps that run as one unit, with everything that they need. */
export interface Segment {
  /** Identifies it in the run: the path of its first step. */
  readonly path: string;
  /** Prefix of its steps' ids in paths: `chunks[3]/`. */
  readonly prefix: string;
  readonly steps: readonly Step[];
  /** Values of earlier steps that its steps read. */
  readonly scope: JsonObject;
  /** Its steps whose values are read outside it; for the others only their end is reported. Absent: all. */
  readonly wanted?: readonly string[];
  /** The run's context without the plan's stages. */
  readonly context: RunContext;
  /** Milliseconds left of the run's deadline when the segment starts. */
  readonly leftMs: number;
  /** Milliseconds that its stages must leave for later ones, by id. */
  readonly reserved: Readonly<Record<string, number>>;
  /** Set if a fast host runs it: name of its journal. */
  readonly guarded?: string;
  /** Set if the segment is the whole run and a caller waits for the result. */
  readonly answer?: {
    readonly to: string;
    readonly output: Binding;
    /** The run's stage table, if it has stages that were not requested. */
    readonly table?: readonly StageRecord[];
  };
}

/** Second argument of a segment's activity; the first is the segment's scope. */
export interface SegmentCall {
  readonly segment: Omit<Segment, 'scope'>;
  /** Another process may have started the segment. Absent: only an earlier attempt of this workflow task may have. */
  readonly begun?: true;
  /**
   * When its workflow task requested it, by Temporal's clock, in milliseconds since 1970. A task that has timed out has
   * an earlier value than the task that replaced it.
   */
  readonly askedAt: number;
}

/** Second argument of the activity that returns which of some queues the worker serves. */
export interface ServingCall {
  readonly serving: { readonly queues: readonly string[]; readonly code: string };
}

/** Progress of a segment. Without any of the flags and without `failure`, all its steps have ended. */
export interface SegmentOutcome {
  /** What has ended, in `Memo`'s form. Empty with a `failure`, after which nothing continues. */
  readonly done: Json;
  /** The rows of its stages. */
  readonly rows: readonly StageRecord[];
  /** The journal cannot be written, or a server is away: the remaining steps run one by one. */
  readonly interrupted?: true;
  /** With `interrupted`: attempts of calls that have not succeeded, by `callName`; they count on queues as well. */
  readonly tried?: Readonly<Record<string, TriedCall>>;
  /** The run was cancelled; its workflow is about to be notified. */
  readonly ending?: true;
  /** Nothing was run: the fast host left the record. The workflow checks for an outcome, then takes the segment. */
  readonly left?: true;
  /**
   * The segment may have started but cannot continue here: the worker cannot reach the state store (`store`), or it is
   * shutting down or its workflow task has timed out (`worker`). The run waits; then any worker may continue.
   */
  readonly away?: 'store' | 'worker';
  readonly failure?: { readonly code: string; readonly message: string; readonly details: JsonObject };
}

/** Attempts of a call, and its final failure, if any. */
export interface TriedCall {
  readonly begun: number;
  /** Time spent waiting for a server that is away, in milliseconds; it counts against the stage's patience. */
  readonly waitedMs?: number;
  readonly failure?: SegmentOutcome['failure'];
}

/**
 * Timeout of a run's workflow tasks, in milliseconds; Temporal's default is 10 s. When a worker dies, another continues
 * its segments after this time. A running segment keeps its task open until 0.8 of it, then handles other events.
 */
export const WORKFLOW_TASK_TIMEOUT_MS = 3_000;

/**
 * Start delay of a guardian, in milliseconds: if its fast host dies immediately, the run continues after this time. The
 * same as for a worker that dies in a segment.
 */
export const GUARDIAN_DELAY_MS = 3_000;

/** Signal with the `SegmentOutcome` of a guardian's run; null: no host has started it, the guardian must do so now. */
export const OUTCOME_SIGNAL = '@outcome';

/** Names of the Temporal search attributes of a run. */
export const SEARCH_ATTRIBUTES = {
  pipeline: 'MillracePipeline',
  version: 'MillraceVersion',
  tenant: 'MillraceTenant',
  cacheHit: 'MillraceCacheHit',
} as const;

/** Query that returns the live `StageRecord[]`. */
export const STAGES_QUERY = 'stages';
