import type { AudioPort } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StageKindName } from '../../pipelines/stages/index.js';

/**
 * The port that every model server is spoken to through. A connector knows one protocol; `connect` gives a *backend*, the
 * client of one endpoint. Backends never retry: the stage's policy owns retries.
 */
export interface Connector {
  readonly name: string;
  /** The stage kinds it can serve. */
  readonly kinds: ReadonlySet<StageKindName>;
  /** What it can do beyond a plain call; a stage that needs more is refused before anything runs. */
  readonly capabilities: ReadonlySet<Capability>;
  /** Its servers may want a key. Absent: none is sent, and a pool must not name one. */
  readonly takesKey?: true;
  /**
   * Opens a client; lazily, so that an endpoint that is down does not stop a worker from starting.
   * @param key where the pool says that its key is. Throws `INVALID_SETTING` where there is none
   */
  connect(endpoint: string, key?: KeyReference): Backend;
}

/** Where a pool's key is: never the key itself, for the models file is read, printed and kept by others. */
export type KeyReference = { readonly env: string } | { readonly file: string };

/** The key that is sent to an endpoint; undefined: none. */
export type KeyOf = (endpoint: string, reference?: KeyReference) => string | undefined;

/** `stream`: chunks arrive before the end. `tools`: tool calls. `structured-output`: a JSON schema binds the answer. */
export type Capability = 'stream' | 'tools' | 'structured-output';

export interface Backend {
  readonly endpoint: string;
  /**
   * One call of a model. Throws a `MillraceError` whose code says what the policy may do; every error of the server is
   * mapped by the connector, `mapError` in its folder. Ends within a second of `context.signal`'s abort.
   */
  invoke(call: Call, context: CallContext): Promise<Reply>;
  /** Canary: the smallest real call of the model. Servers report ready while each call fails, so readiness is not asked. */
  probe(model: string, kind: StageKindName, signal: AbortSignal): Promise<void>;
  /** Repairs a model that is ready but fails. Absent where the server offers no means. */
  heal?(model: string, signal: AbortSignal): Promise<void>;
  /** What the model has done since it was loaded, by the server's own count. Absent where the server keeps none. */
  work?(model: string, signal: AbortSignal): Promise<ServerWork>;
  /** Identifies what the model computes: changes when its weights do. Part of cache keys. */
  fingerprint(model: string, signal: AbortSignal): Promise<string>;
  /** How the server forms batches of a model's calls. Absent where it does not tell. */
  batching?(model: string, signal: AbortSignal): Promise<Batching>;
  /** The server's name and release as it states them: `triton 2.51.0`. Absent where the protocol has none. */
  server?(model: string, signal: AbortSignal): Promise<string>;
  close(): void;
}

/** Totals that only grow. */
export interface ServerWork {
  /** Requests answered. */
  readonly requests: number;
  /** Milliseconds that they have waited in the server's queue, all together. */
  readonly queueMs: number;
  /** Milliseconds that they were computed, all together. */
  readonly computeMs: number;
  /** By size of batch; empty where the server does not tell. */
  readonly batches?: readonly BatchWork[];
}

/** Batches of one size since the model was loaded. */
export interface BatchWork {
  readonly size: number;
  readonly count: number;
  /** Milliseconds that they took, all together. */
  readonly computeMs: number;
}

export interface Batching {
  /** Most calls in a batch; 1: calls are not batched. */
  readonly most: number;
  /** Sizes that are formed early. */
  readonly preferred: readonly number[];
  /** Longest that a call waits for others, in milliseconds. */
  readonly delayMs: number;
  /** Batches that are computed at once. */
  readonly instances: number;
}

export interface Call {
  readonly kind: StageKindName;
  /** The model's name at the server. */
  readonly model: string;
  readonly with: JsonObject;
  readonly input: JsonObject;
}

export interface Reply {
  readonly output: JsonObject;
  readonly usage?: Usage;
}

/** What a call consumed, for metrics. */
export interface Usage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** Seconds of audio recognised or synthesised. */
  readonly audioSeconds?: number;
}

export interface CallContext {
  readonly signal: AbortSignal;
  readonly audio: AudioPort;
  /**
   * A useful piece of the answer has arrived: a text delta, or the number of audio samples. Stages' first-chunk and idle
   * timeouts, and live streams, are made of these calls; a connector that cannot stream makes none. An empty text is
   * progress that is no part of the answer's text: reasoning, or a tool call's arguments.
   */
  emit(chunk: string | number): void;
  /** The whole of a small artifact, e.g. an image; the caller has looked at its size. Absent where the host has no media. */
  bytes?(artifact: Artifact): Promise<Uint8Array>;
  /** Progress that survives this attempt: the next one finds the last value in `resumeFrom`. */
  checkpoint(progress: Json): void;
  readonly resumeFrom?: Json;
  /**
   * The same for every attempt of a stage in a run, and no other's: a server that knows it does the work once. Printable
   * ASCII.
   */
  readonly idempotencyKey?: string;
}

/** Turns anything a connector caught into the one error that the rest of Millrace knows. */
export type MapError = (
  error: unknown,
  about: { endpoint: string; model: string; signal: AbortSignal },
) => MillraceError;
