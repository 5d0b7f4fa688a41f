import type { ErrorDetails } from '../errors.js';
import { canonicalJson, type Json, type JsonObject } from '../json.js';
import type {
  ExactCachePlan,
  HedgePolicy,
  Priority,
  RecordLevel,
  RetryPolicy,
  SemanticCachePlan,
} from '../plan/plan.js';
import type { Tried } from '../retry.js';
import type { Effects } from '../stages/traits.js';
import type { EventsTo } from './events.js';
import type { TaskTime } from './run.js';

/** Second argument of a stage's activity; the first is the stage's resolved input. */
export interface StageCall {
  readonly pipeline: string;
  readonly version: string;
  readonly tenant: string;
  readonly stage: string;
  /** The stage with its enclosing items and rounds: `chunks[3]/transcribe`. Absent if it is the stage's id. */
  readonly path?: string;
  /** `keyTag` of the run. */
  readonly keyTag?: string;
  readonly kind: string;
  /** Effects of a kind made with `defineKind`. */
  readonly effects?: Effects;
  readonly model: string;
  readonly with: JsonObject;
  /** Version of a `code` stage's function; absent, any version matches. */
  readonly codeVersion?: string;
  /** Of a kind that embeds: who stores the vectors, `<owner>`. Absent: the tenant alone. */
  readonly insertedBy?: string;
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
  /**
   * Of a turn of an agent: `writes` are streams of the agent, in which the turns' texts follow each other. The turn that calls no tool is the
   * last one, and closes them.
   */
  readonly turn?: TurnOf;
  /**
   * With `reads` or `writes`: the path by which the channels that it writes are named, and its kind. On its way the call has `ENTRY_KIND`: a worker of
   * a release that names them by `path` refuses it. Absent: they are named by the path of `turn`, or of the stage.
   */
  readonly channel?: { readonly path: string; readonly kind: string };
  /**
   * With `writes`: an earlier call of the stage may have committed entries, which are waited for while the state store is away. Absent: none
   * has, before the attempts of this one.
   */
  readonly again?: true;
  /**
   * An attempt on another queue was lost, and may have ended without a report: when the first queue was tried, by the run's clock, in
   * milliseconds since 1970. Absent: none was.
   */
  readonly since?: number;
  /** What happens to a stream that breaks off and cannot be continued. Absent: the stage fails. */
  readonly onCut?: 'end' | 'restart' | 'fallback';
  /**
   * Entries of channels that the input reads, of items of an `each` that reads a stream. The first argument is then a binding, which the
   * worker evaluates with their values: `$ref` is one of these sources, all else is constant.
   */
  readonly held?: HeldEntries;
  /** With `reads`: timeout of one entry, in milliseconds. */
  readonly entryMs?: number;
  readonly priority?: Priority;
  /** `trace` of the run. */
  readonly trace?: string;
  /** Models that are needed next: they may be loaded while the call runs. */
  readonly next?: readonly string[];
  /** The stage emits events. */
  readonly events?: true | EventsTo;
  /** Its text and reasoning are not published: they are checked first. */
  readonly muted?: true;
  /** What the run's record keeps of the call. Absent: its input and output. */
  readonly record?: RecordLevel;
  /** Its values that are too large for the state store are sealed, with keys in the run's record. Absent: they are stored as they are. */
  readonly sealed?: true;
  /**
   * Maximum duration of the run, in milliseconds; its record is kept from the run's end. Absent: nothing is recorded.
   */
  readonly runMs?: number;
  /** With `writes`, of a run that records nothing: maximum duration of the run, in milliseconds, by which its streams are kept. */
  readonly streamedMs?: number;
}

/**
 * Second argument of the activity that asks for the recorded outcome of a call; the first is the call's input. The local one says of an outcome that
 * is not small only that there is one; one of the run's task queue then returns it.
 */
export interface RecordedCall extends TaskTime {
  readonly recorded: {
    readonly call: StageCall;
    /** When it was first scheduled, in milliseconds since 1970. */
    readonly since: number;
  };
}

/** There is a recorded outcome, which is not small. */
export interface LargeOutcome {
  readonly large: true;
}

interface CacheCall {
  /** Whose answers they are within the tenant: `<pipeline>/<owner>`, of an exact cache `<owner>`. Absent: everybody's. */
  readonly principal?: string;
  /** Who stores an answer: `<owner>`, whichever pipeline it runs. Absent: the tenant alone. */
  readonly insertedBy?: string;
  /** Version of what answers are made from, as JSON. Absent: the stage names none. */
  readonly version?: string;
  /** Only a cached answer is acceptable: without one the stage fails with `NOT_CACHED`. */
  readonly only?: true;
}

/** The semantic cache, with its key resolved; `context` is the input without the key. */
export type SemanticCacheCall = CacheCall &
  Omit<SemanticCachePlan, 'key' | 'version'> & { readonly key: string; readonly context: Json };

/** The exact cache; the call's input is the key. */
export type ExactCacheCall = CacheCall & Omit<ExactCachePlan, 'version'>;

/** Which agent a turn is of, and what the agent had said before. */
export interface TurnOf {
  /** Path of the agent. */
  readonly path: string;
  /** The texts of the turns before, as in the agent's output. */
  readonly said: string;
}

/** A channel of the same run. */
export interface ChannelRef {
  /** Path of the stage that writes it, as channels are named by it (`channelPath`). */
  readonly path: string;
  /** Which of its streams. */
  readonly of: string;
  /** Its producer may start over until something is made of what it has written. Absent: it does not. */
  readonly restarts?: true;
}

/** An entry of a channel of the same run: what the history holds in place of its value. */
export interface EntryRef {
  readonly path: string;
  readonly of: string;
  /** How often the producer had started over before. Absent: never. */
  readonly generation?: number;
  readonly number: number;
  /** Of the value, so that no other one takes its place. */
  readonly digest: string;
}

/** What a call with entries of channels lacks until a worker has read them. */
export interface HeldEntries {
  /** The kind of the stage. On its way the call has `ENTRY_KIND`: a worker of a release that cannot read entries refuses it, and it waits. */
  readonly kind: string;
  /** By source: `<each>/item`. */
  readonly entries: Readonly<Record<string, EntryRef>>;
}

/** The kind of calls that only workers take that know entries of channels; to others it is one that they have no definition of. */
export const ENTRY_KIND = 'millrace/entry';

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

/** What an attempt of a stage's activity says of itself, among its heartbeat details under `lost`: its worker may be lost. */
export interface LossNote {
  /** Number of the attempt, Temporal's count, from 1. Workers of earlier releases do not say it. */
  readonly attempt?: number;
  /** Number of an attempt that has ended in any way: its worker was not lost. */
  readonly ended?: number;
  /** Workers lost in a row before the attempt. */
  readonly losses: number;
  /** Nothing was sent: the loss of its worker does not count. */
  readonly rests?: boolean;
}

/** Number of calls made by earlier attempts. `attempt`: Temporal's count, from 1. */
export const callsBefore = (attempt: number, { waits }: Pick<Tried, 'waits'>): number =>
  Math.max(0, attempt - 1 - waits);

/**
 * Number of calls that the attempts of an activity may have made. An attempt that was lost counts unless it is known to have rested: it may
 * have made its call before its first heartbeat. One that follows a lost attempt makes no call before Temporal has a heartbeat of it.
 * @param left the last heartbeat details that Temporal has, empty if there were none
 * @param isReported whether the last attempt has told how it ended; otherwise it was lost with its worker
 */
export function callsBegun(
  { waits = 0, lost: note }: Partial<AttemptState> & { readonly lost?: LossNote | null },
  isReported: boolean,
): number {
  // Another worker's heartbeats may have anything under this name.
  if (!note) return 1;
  const { ended, attempt = ended ?? 1, rests = false } = note;
  const made = Math.max(0, attempt - waits);
  if (ended === undefined) return rests ? made : Math.max(1, made);
  // These details are of an attempt that has ended: one that was lost came after it.
  return isReported ? made : made + 1;
}

type Lack = Pick<ErrorDetails, 'pool' | 'loading' | 'unreached'>;

/** What a call waits for: a pool, or the state store. */
export const awaited = ({ model }: Pick<StageCall, 'model'>, { pool, unreached }: Lack): string =>
  unreached ? 'the state store' : (pool ?? model);

/** Description of a stage whose server is away, or loads its model: `waiting for assistant`, `loading assistant`. */
export const waitingFor = (call: Pick<StageCall, 'model'>, lack: Lack = {}): string =>
  `${lack.loading ? 'loading' : 'waiting for'} ${awaited(call, lack)}`;
