import type { ErrorDetails } from '../errors.js';
import { canonicalJson, type Json, type JsonObject } from '../json.js';
import type { PricePlan } from '../plan/agent.js';
import type { Binding } from '../plan/binding.js';
import type { CachePlan, HedgePolicy, Plan, Priority, RecordLevel, RetryPolicy, Step } from '../plan/plan.js';
import type { Tried } from '../retry.js';
import type { Decision, StageDecision } from './waits.js';

/** Where a stage runs: decided before the run starts and snapshotted into it with the plan. */
export interface StagePlacement {
  readonly connector: string;
  /** The device's label, e.g. `cpu0`, `gpu1`; several endpoints' labels joined by `,`. */
  readonly device: string;
  /** Temporal task queue. */
  readonly queue: string;
  /**
   * Queues of the other devices that can serve it, in order. Each is taken when nobody has begun the stage on the one
   * before within `patienceMs`, as when its device is gone; on the last it waits as long as its policy says.
   */
  readonly elsewhere?: readonly { readonly queue: string; readonly device: string }[];
  /** Longest wait on a queue that is not the last, in milliseconds. */
  readonly patienceMs?: number;
  /** Of an agent's model: what a million tokens cost, where the pool says. */
  readonly price?: PricePlan;
}

/**
 * By stage id; the n-th alternative of a stage (its fallbacks, then what it degrades to, from 1) as `<stage>~<n>`; a stage
 * of a child run as `<step>/<stage>`.
 */
export type Placement = Readonly<Record<string, StagePlacement>>;

/** Second argument of the workflow; the first is the pipeline's input. */
export interface RunContext {
  readonly plan: Plan;
  readonly placement: Placement;
  readonly tenant: string;
  /**
   * Whose conversations its agents and those of its child runs take part in, within the tenant: those of the pipeline that was
   * asked for and of who asked. Absent: the pipeline’s.
   */
  readonly sessionsOf?: string;
  /** Absent: `default`. */
  readonly priority?: Priority;
  /** Fields of the output that the caller wants; stages that only others need are skipped. Absent: all. */
  readonly outputs?: readonly string[];
  /**
   * Where somebody waits for the result. A run that is one segment is answered there as soon as its last stage is in the
   * journal; Temporal records the end behind it.
   */
  readonly answerTo?: string;
  /** Somebody may watch the run: its stages tell what they do (`RunEvent`). */
  readonly events?: true;
  /**
   * The run is one segment that a fast host runs outside Temporal, under a journal of this name. The workflow is its
   * guardian: it ends with the outcome that it is told, and takes the segment over when the fast host is gone.
   */
  readonly guarded?: string;
  /** What people had decided in the run that this one resumes, by the path of the wait. The same is not asked for again. */
  readonly decisions?: Readonly<Record<string, Omit<StageDecision, 'path'>>>;
  /** What the run had done when its history was continued in a new one. */
  readonly carried?: Carried;
}

/** State that a run carries into its next history (continue-as-new). */
export interface Carried {
  /** When the run started, on the run's clock. */
  readonly startedAt: number;
  /** What has ended: steps' values, and of loops that have not ended their items' values and their state. */
  readonly done: Json;
  /** What people have decided, the latest last, by the nonce of the wait: also what the wait has not yet taken. */
  readonly decided: Readonly<Record<string, Decision>>;
  readonly rows: readonly StageRecord[];
}

/** Second argument of a stage's activity; the first is the stage's resolved input. */
export interface StageCall {
  readonly pipeline: string;
  readonly version: string;
  readonly tenant: string;
  readonly stage: string;
  /** The stage with the items and rounds around it: `chunks[3]/transcribe`. Absent where it is the stage's id. */
  readonly path?: string;
  readonly kind: string;
  readonly model: string;
  readonly with: JsonObject;
  /** Of a `code` stage: the version of its function; absent, any will do. */
  readonly codeVersion?: string;
  /** The semantic cache to ask first, its key resolved; `context` is the input without the key. */
  readonly cache?: Omit<CachePlan, 'key'> & {
    readonly key: string;
    readonly context: Json;
    /** Only an earlier answer will do: without one the stage fails with `NOT_CACHED`. */
    readonly only?: true;
  };
  readonly retry: RetryPolicy;
  /** Longest wait for a server that is away, where something else may serve the stage. Absent: as long as it may take. */
  readonly patienceMs?: number;
  readonly queueMs?: number;
  readonly firstChunkMs?: number;
  readonly idleMs?: number;
  readonly hedge?: HedgePolicy;
  readonly priority?: Priority;
  /** The stage tells what it does. */
  readonly events?: true;
  /** What the run's record keeps of it. Absent: what it was given and what it gave. */
  readonly record?: RecordLevel;
  /** How long the run may take, in milliseconds: its record is kept from its end on. Absent: nothing is recorded. */
  readonly runMs?: number;
}

/** Tells a run's calls apart: where the stage stands and what serves it, for its alternatives are calls of their own. */
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
  /** What was done to media on the way in: `audio: 44100 Hz stereo resampled to 16000 Hz mono`. */
  readonly conversions?: readonly string[];
  /** The second call of a hedge answered first. */
  readonly hedged?: true;
  /** It comes from the record of the run that this one resumes: no call was made. */
  readonly resumed?: true;
  /** What the call used, where the server says. */
  readonly usage?: TokenUsage;
}

/** Tokens of model calls. */
export type TokenUsage = { readonly inputTokens?: number; readonly outputTokens?: number };

/** A row of a run's stage table. */
export interface StageRecord {
  readonly stage: string;
  readonly kind: string;
  readonly connector: string;
  readonly model: string;
  readonly device: string;
  /**
   * `cancelled`: it ran when another stage's failure, a race or the deadline ended it. `skipped`: its branch was not taken,
   * nobody wanted its output, or it was left out for want of time.
   */
  readonly status: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'skipped';
  /** How often it has ended and how often it has started, where that is not once. */
  readonly count?: { readonly done: number; readonly started: number };
  readonly endpoint?: string;
  readonly attempt?: number;
  readonly cache?: CacheOutcome;
  readonly queueMs?: number;
  readonly runMs?: number;
  readonly conversions?: readonly string[];
  readonly hedged?: true;
  /** Of its calls some were not made: what they gave comes from the record of the run that this one resumes. */
  readonly resumed?: true;
  /** Tokens of all calls that have succeeded, those of the run before included, where the servers say. */
  readonly usage?: TokenUsage;
  /** What an agent does now: its turn, the tools it calls, the person it waits for; or the server that is waited for. */
  readonly doing?: string;
  /** Why another than the planned model served it: the code that the one before failed with, or `degraded`. */
  readonly instead?: string;
  /** What was decided of what it waited for, the latest last; of an agent, on its calls of tools. */
  readonly decisions?: readonly StageDecision[];
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * What an attempt of a stage's activity leaves for the next one, as the details of its heartbeat. Whatever is not known to
 * have been a wait was a call: an attempt whose worker was lost may have made it.
 */
export type AttemptState = Tried & {
  /** What the connector needs to go on where it was. */
  readonly progress?: Json;
  /** While it waits for a server that is away: the stage, and the wait in words. */
  readonly stage?: string;
  readonly doing?: string;
};

/** Calls that the attempts before this one have made. `attempt`: Temporal's count, from 1. */
export const callsBefore = (attempt: number, { waits }: Pick<Tried, 'waits'>): number =>
  Math.max(0, attempt - 1 - waits);

/** What a stage does whose server is away, for people: `waiting for assistant`. */
export const waitingFor = ({ model }: Pick<StageCall, 'model'>, { pool }: Pick<ErrorDetails, 'pool'> = {}): string =>
  `waiting for ${pool ?? model}`;

/** What the workflow returns. */
export interface RunResult {
  readonly output: JsonObject;
  readonly stages: readonly StageRecord[];
}

/** Inline steps that run as one unit, with all that they need. */
export interface Segment {
  /** Identifies it in the run: the path of its first step. */
  readonly path: string;
  /** What stands before the ids of its steps in their paths: `chunks[3]/`. */
  readonly prefix: string;
  readonly steps: readonly Step[];
  /** The values that its steps read from before. */
  readonly scope: JsonObject;
  /** Its steps whose values are read outside it; of the others it only says that they have ended. Absent: all. */
  readonly wanted?: readonly string[];
  /** The run's, with the plan's stages left out. */
  readonly context: RunContext;
  /** Milliseconds that are left of the run's deadline when it starts. */
  readonly leftMs: number;
  /** Milliseconds that its stages leave for those after them, by id. */
  readonly reserved: Readonly<Record<string, number>>;
  /** A fast host runs it, under a journal of this name. */
  readonly guarded?: string;
  /** It is the whole run, and somebody waits for the result. */
  readonly answer?: {
    readonly to: string;
    readonly output: Binding;
    /** The run's stage table, where it has stages that nobody wants. */
    readonly table?: readonly StageRecord[];
  };
}

/** Second argument of a segment's activity; the first is the segment's scope. */
export interface SegmentCall {
  readonly segment: Omit<Segment, 'scope'>;
  /** Another process may have begun the segment. Absent: only an earlier attempt of this workflow task may have. */
  readonly begun?: true;
  /**
   * When its workflow task asks for it, by Temporal's clock: in milliseconds since 1970. A task that Temporal has given up asked
   * before the one that has come in its place.
   */
  readonly askedAt: number;
}

/** Second argument of the activity that asks which of some queues a worker serves. */
export interface ServingCall {
  readonly serving: { readonly queues: readonly string[]; readonly code: string };
}

/** How far a segment came. With none of the flags and no `failure` all its steps have ended. */
export interface SegmentOutcome {
  /** What has ended, in `Memo`'s form. Empty with a `failure`: nothing goes on from there. */
  readonly done: Json;
  /** The rows of its stages. */
  readonly rows: readonly StageRecord[];
  /** The journal could not be written, or a server is away: what has not ended is run step by step. */
  readonly interrupted?: true;
  /** Where it is interrupted, what calls have had that have not succeeded, by `callName`: it counts on their queues too. */
  readonly tried?: Readonly<Record<string, TriedCall>>;
  /** The run has been cancelled, which its workflow learns next. */
  readonly ending?: true;
  /** Nothing was run: the fast host has left the record. The workflow looks for what it was told, and takes the segment then. */
  readonly left?: true;
  /**
   * Nothing more can be run here, and it may have begun: this worker does not reach the state store (`store`), or it ends, or
   * its workflow task has been given up (`worker`). The run waits; then any worker may go on.
   */
  readonly away?: 'store' | 'worker';
  readonly failure?: { readonly code: string; readonly message: string; readonly details: JsonObject };
}

/** A call's attempts, and how it has failed for good if it has. */
export interface TriedCall {
  readonly begun: number;
  /** How long it has waited for a server that is away, in milliseconds: its patience is used up by as much. */
  readonly waitedMs?: number;
  readonly failure?: SegmentOutcome['failure'];
}

/**
 * Timeout of a run's workflow tasks, in milliseconds; Temporal's default is 10 s. When a worker dies another one goes on with
 * its segments after this time. A running segment keeps its task open, and what happens beside it is seen at 0.8 of it.
 */
export const WORKFLOW_TASK_TIMEOUT_MS = 3_000;

/**
 * How long a guardian's start is delayed, in milliseconds: when its fast host dies at once, the run goes on after this. The
 * same as for a worker that dies in a segment.
 */
export const GUARDIAN_DELAY_MS = 3_000;

/** The signal that tells a guardian the `SegmentOutcome` of its run; null: nobody has begun it, it is to begin at once. */
export const OUTCOME_SIGNAL = '@outcome';

/** Names of Temporal search attributes that a run carries. */
export const SEARCH_ATTRIBUTES = {
  pipeline: 'MillracePipeline',
  version: 'MillraceVersion',
  tenant: 'MillraceTenant',
  cacheHit: 'MillraceCacheHit',
} as const;

/** Query that returns the live `StageRecord[]`. */
export const STAGES_QUERY = 'stages';
