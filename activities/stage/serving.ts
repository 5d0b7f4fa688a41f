import type { z } from 'zod';
import type { AudioPort } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { Tried } from '../../pipelines/retry.js';
import type { Elicited, Question } from '../../pipelines/run/index.js';
import type { CodeArtifacts } from '../../pipelines/stages/kind.js';
import type { Clock } from '../../runtime/clock.js';
import type { Moment } from '../../runtime/moment.js';
import type { CallbackPort } from '../connectors/connector.js';
import type { Pool } from '../pools/index.js';
import type { CodeStreams } from '../streams/code-streams.js';
import type { HeldSlot } from './held-slot.js';
import type { Known } from './lack.js';
import type { WorkerKind } from './worker-kind.js';

/** One attempt of a stage, as seen by its host. */
export interface Attempt {
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
  /** Result of earlier attempts. Absent: none. */
  readonly tried?: Tried;
  /** An earlier attempt may have committed entries of the stage's streams. Absent: none has. */
  readonly again?: boolean;
  /** Time from when this attempt could have started to its start, in milliseconds. */
  readonly queueMs: number;
  /** When it, or the segment that it is part of, began: it opens no stream of a run that was erased since. Absent: when it opens one. */
  readonly begunAt?: Moment;
  /** When it ends at the latest, on the clock of `performance.now()`. Absent: unknown. */
  readonly endsAt?: number;
  /** The run's id, for log lines and idempotency keys. */
  readonly run: string;
  /** The devices whose queue it was taken from: it must be served on one of them. Absent: anywhere. */
  readonly devices?: readonly string[];
  /** The slot of the worker that the attempt holds. Absent: its host has none that others wait for. */
  readonly slot?: Pick<HeldSlot, 'leave' | 'take'>;
  /** What a function reads and yields entry by entry. Absent: its streams are lists. */
  readonly streams?: CodeStreams;
  /** The beginning of the answer, which readers have. Absent: none. */
  readonly continued?: { readonly text: string; readonly continues: () => void };
  /** Last value that an earlier attempt passed to `checkpoint`; null if none. */
  readonly resumeFrom: Json;
  checkpoint(progress: Json): void;
  /**
   * Awaited just before a call that changes something elsewhere, which may have waited for its turn. Throws if another worker may have
   * begun the call meanwhile. Absent: no other worker can.
   */
  mayBegin?(): Promise<void>;
  /**
   * Nothing is sent from now on until the function that it returns has resolved: a worker that is lost meanwhile was not lost by the
   * call. It throws if another worker may have begun what would be sent. Absent: its host counts no losses.
   */
  rest?(): () => Promise<void>;
  /** As a connector's: calls `work` when no other attempt will ask for the outcome. */
  whenKept?(work: () => void): void;
  /** Asks a person while the call is open, and resolves with the answer. Absent: nobody can be asked. */
  ask?(question: Question): Promise<Elicited>;
  /** More of a stream is committed: what follows has all attempts of the policy again. */
  passed?(): void;
  /** Gets segments of a transcript as they are recognised, those from number `from` on. Absent: nobody reads them before the end. */
  segments?(from: number, more: readonly Json[]): void;
}

export interface ServingParts extends Known {
  readonly pools: ModelPools;
  /** Audio of a tenant; `onConversion` receives descriptions of the conversions applied. */
  readonly audioOf: (tenant: string, onConversion: (what: string) => void, signal: AbortSignal) => AudioPort;
  /** Addresses at which servers of jobs call. Absent: there are none. */
  readonly callbacks?: CallbackPort | undefined;
  /** Bytes of a tenant's artifacts: images. */
  readonly bytesOf: (tenant: string) => (artifact: Artifact) => Promise<Uint8Array>;
  /** Media of a tenant, for functions of `code` stages and tools; one for each call. */
  readonly artifactsOf: (tenant: string, onConversion: (what: string) => void, signal: AbortSignal) => CodeArtifacts;
  /** The input with its media converted to the formats that a schema declares. */
  readonly conform: Conform;
  /** Folder of the pipelines' module: places in errors of its functions are relative to it. Absent: the working folder. */
  readonly sources?: string | undefined;
  /** Implementations of the kinds that the worker serves itself, by kind. */
  readonly workerKinds: Pick<ReadonlyMap<string, WorkerKind>, 'get'>;
  readonly metrics: Usages;
  /** Of the limits on a model's silence. Default: the process's. */
  readonly clock?: Clock;
}

/** The pools as stages use them. */
export interface ModelPools {
  /** Throws `MODEL_NOT_CONFIGURED`. */
  get(model: string): Pick<Pool, 'use'> & Partial<Pick<Pool, 'modalities' | 'prefixOf' | 'expect'>>;
}

/** Counts what calls use. */
export interface Usages {
  readonly usage: { inc(labels: { model: string; unit: string }, amount: number): void };
}

export type Conform = (
  schema: z.ZodType,
  input: JsonObject,
  about: {
    readonly tenant: string;
    readonly signal: AbortSignal;
    readonly onConversion: (what: string) => void;
  },
) => Promise<JsonObject>;
