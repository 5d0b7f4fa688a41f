import type { z } from 'zod';
import type { AudioPort } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { Priority } from '../../pipelines/plan/index.js';
import type { CodeArtifacts } from '../../pipelines/stages/kind.js';

/**
 * The interface to every model server. A connector implements one protocol; `connect` returns a *backend*, the client
 * of one endpoint. Backends never retry: the stage's policy owns retries.
 */
export interface Connector {
  readonly name: string;
  /** The stage kinds it can serve, those made with `defineKind` by their names: `acme/segment`. */
  readonly kinds: ReadonlySet<string>;
  /**
   * Whether it can serve a kind that is not in `kinds`; for connectors whose options can describe the calls of any
   * kind.
   */
  readonly servesKind?: (kind: string) => boolean;
  /** Capabilities beyond a plain call; a stage that needs others is refused before anything runs. */
  readonly capabilities: ReadonlySet<Capability>;
  /** Those of a pool, where its options decide. Default: `capabilities`. */
  readonly capabilitiesOf?: (options: PoolOptions | undefined) => ReadonlySet<Capability>;
  /** Set if its servers may require a key. Absent: no key is sent, and a pool must not name one. */
  readonly takesKey?: true;
  /** Set if `connect` uses its `Link`. Absent: pools must not have `tls` or `headers`. */
  readonly takesLink?: true;
  /** Set if its backends have a `repository`. Absent: pools must not have `load`. */
  readonly loadsModels?: true;
  /**
   * `server`: the models of one server share its capacity, as an LLM and its adapters do, and so do the pools of its
   * URL. Default `model`: each model has its own.
   */
  readonly capacity?: 'server' | 'model';
  /**
   * Schema of the `options` that a pool of this kind may have: what the connector needs to know about the model and its
   * calls besides the address. Make it strict, so that a misspelled option is reported. Absent: its pools have no
   * options.
   */
  readonly options?: (kind: string) => z.ZodType<PoolOptions>;
  /**
   * Whether a pool with these options can send several calls of the kind as one, for pools with `microBatch`. Absent: none
   * can.
   */
  readonly joins?: (kind: string, options: PoolOptions | undefined) => Joining | undefined;
  /**
   * Opens a client; lazily, so that an endpoint that is down does not stop a worker from starting. Throws
   * `INVALID_SETTING` for an endpoint that is not in the connector's form.
   * @param key the key of the endpoint's pool, with `takesKey` only. Never part of an error or a log line
   * @param options of the pool, as parsed by the schema `options`; absent without one. Pools with the same options
   *   share a client
   * @param link with `takesLink` only
   */
  connect(endpoint: string, key?: string, options?: PoolOptions, link?: Link): Backend;
}

/**
 * How several calls are sent as one. The joined call is a call of their kind with their model and options, and - of
 * `embed` with the input `{ texts }` and the output `{ embeddings }`, as a stage over a list has them; - of `classify`
 * with the input `{ texts }` and the output `{ results }`: an output of the kind for each text; - of `rerank` with the
 * input `{ pairs }`, each `{ query, text }`, and the output `{ scores }`, a number for each.
 */
export interface Joining {
  /** `apart`: requests depend on the tenant, so a joined call has calls of one tenant only. */
  readonly tenants: 'together' | 'apart';
}

/** How to reach an endpoint, besides its address. */
export interface Link {
  /** The server's name, if the endpoint is one of its addresses: for the certificate and the Host header. */
  readonly serverName?: string;
  /** Sent with every request. Values may be secrets: never part of an error or a log line. */
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM texts: the certificate authority of the server's certificate, and the client's own certificate and key. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** A pool's options as its connector's schema gives them. */
export type PoolOptions = Readonly<Record<string, unknown>>;

/** `stream`: chunks arrive before the end. `tools`: tool calls. `structured-output`: a JSON schema binds the answer. */
export type Capability = 'stream' | 'tools' | 'structured-output';

/** The client of one endpoint. It never retries and keeps no state about failures: the stage's policy and the pool do. */
export interface Backend {
  readonly endpoint: string;
  /**
   * Makes one call of a model. Throws a `MillraceError` whose code determines what the stage's policy does; the
   * connector maps every error of the server. Ends within a second of `context.signal`'s abort.
   */
  invoke(call: Call, context: CallContext): Promise<Reply>;
  /**
   * Whether this endpoint has the work that an earlier attempt passed to `checkpoint`, such as a job in progress: the
   * next attempt is made there, even if other endpoints are free. While it cannot be reached the attempt waits or, with
   * `preferred`, starts again at another endpoint. Never throws. Absent: every endpoint can continue.
   */
  holds?(checkpoint: Json): boolean | 'preferred';
  /**
   * Canary: the smallest real call of the model. A server can report ready while every call fails, so readiness is not
   * enough.
   */
  probe(model: string, kind: string, signal: AbortSignal): Promise<void>;
  /**
   * Describes how the stage's fields map to the model's tensors, a line for each, checked against the model's metadata.
   * Throws `BACKEND_REJECTED` if they do not fit. Absent for protocols without tensors.
   */
  tensors?(model: string, kind: string, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Whether large tensors are passed by shared memory; `refused` says why they are passed by value. Undefined: the pool
   * does not use it. Absent for protocols without shared memory.
   */
  sharedMemory?(signal: AbortSignal): Promise<{ readonly refused?: string } | undefined>;
  /**
   * Whether the server is ready, by its own report: true; false if it makes none. Throws `BACKEND_UNAVAILABLE` while it
   * loads or after its engine has died. Absent if the protocol has no such report.
   */
  ready?(model: string, signal: AbortSignal): Promise<boolean>;
  /**
   * Requests running and waiting at the server, of all its clients; undefined if it does not report them. Absent if the
   * protocol has no such report.
   */
  pressure?(signal: AbortSignal): Promise<Pressure | undefined>;
  /** Loads and unloads models at the server, for pools with `load`. Absent if the protocol has no such requests. */
  readonly repository?: Repository;
  /** Repairs a model that is ready but fails. Absent if the server offers no way to do it. */
  heal?(model: string, signal: AbortSignal): Promise<void>;
  /** Statistics of the model since it was loaded, as counted by the server. Absent if the server keeps none. */
  work?(model: string, signal: AbortSignal): Promise<ServerWork>;
  /** Identifies the model's weights: changes when they do. Part of cache keys. */
  fingerprint(model: string, signal: AbortSignal): Promise<string>;
  /** How the server batches a model's calls. Absent if it does not report this. */
  batching?(model: string, signal: AbortSignal): Promise<Batching>;
  /** The server's name and release as reported: `triton 2.51.0`. Absent if the protocol has none. */
  server?(model: string, signal: AbortSignal): Promise<string>;
  close(): void;
}

/** State of a model that takes memory at its server. */
export type LoadState = 'ready' | 'loading' | 'unloading';

/** The models of a server that loads and unloads them on request. Errors are those of `Backend`. */
export interface Repository {
  /** By name, as the server itself reports. Those that are not loaded are missing. */
  states(signal: AbortSignal): Promise<ReadonlyMap<string, LoadState>>;
  /** Returns when the model is loaded. */
  load(model: string, signal: AbortSignal): Promise<void>;
  /** Returns when unloading has begun. */
  unload(model: string, signal: AbortSignal): Promise<void>;
}

/** A server's load, by its own count. */
export interface Pressure {
  /** Requests that are running. */
  readonly running: number;
  /** Requests in its queue. */
  readonly waiting: number;
  /** Share of its key-value cache that is in use, from 0 to 1. */
  readonly cacheUse?: number;
}

/** Counters; they only grow. */
export interface ServerWork {
  /** Requests answered. */
  readonly requests: number;
  /** Total time in the server's queue, in milliseconds. */
  readonly queueMs: number;
  /** Total compute time, in milliseconds. */
  readonly computeMs: number;
  /** By batch size; empty if the server does not report this. */
  readonly batches?: readonly BatchWork[];
}

/** Batches of one size since the model was loaded. */
export interface BatchWork {
  readonly size: number;
  readonly count: number;
  /** Total time of these batches, in milliseconds. */
  readonly computeMs: number;
}

/** How a server batches the calls of a model. */
export interface Batching {
  /** Maximum number of calls in a batch; 1: calls are not batched. */
  readonly most: number;
  /** Preferred batch sizes. */
  readonly preferred: readonly number[];
  /** Longest time that a call waits for a batch to fill, in milliseconds. */
  readonly delayMs: number;
  /** Batches that are computed concurrently. */
  readonly instances: number;
}

/**
 * The input is that of the stage kind. A call that Millrace itself makes, for the verifier of a semantic cache, has pairs of
 * texts: of `classify` the input `{ pairs }`, each `{ text, textPair }`, and the output `{ results }`, an output of the kind
 * for each; of `rerank` as a joined call, see `Joining`. `oneByOne` of `pairs.ts` is for servers that take one at a time.
 */
export interface Call {
  readonly kind: string;
  /** The model's name at the server. */
  readonly model: string;
  readonly with: JsonObject;
  readonly input: JsonObject;
}

/** The outcome of a call: the output of the stage kind, and what was used for it. */
export interface Reply {
  readonly output: JsonObject;
  readonly usage?: Usage;
}

/** Resources used by a call, for metrics. */
export interface Usage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** Seconds of audio recognised or synthesised. */
  readonly audioSeconds?: number;
}

/**
 * What a backend gets with a call: the abort signal, functions to stream and to store progress, media of the run, and
 * facts about the call.
 */
export interface CallContext {
  /** Aborts with a `HandedOver` as the reason if this attempt is over and the next one continues from the checkpoint. */
  readonly signal: AbortSignal;
  readonly audio: AudioPort;
  /**
   * A useful part of the answer has arrived: a text delta, or the number of audio samples. First-chunk and idle
   * timeouts and live streams depend on these calls; a connector that cannot stream makes none. An empty text is
   * progress outside the answer's text: reasoning, or a tool call's arguments.
   */
  emit(chunk: string | number): void;
  /**
   * `transcribe`: reports recognised segments, from number `from` of the audio on, in order and without gaps; they must
   * not change later. Include those of earlier attempts: segments that were reported before are skipped. A connector
   * that gets all segments at the end does not call this. Absent: nobody reads segments before the end.
   */
  segments?(from: number, more: readonly JsonObject[]): void;
  /** The next piece of the reasoning, for clients that follow the run; also call `emit` with an empty text. Absent: nobody follows. */
  think?(text: string): void;
  /**
   * Progress of the call, from 0 to 1, for clients that follow the run; also resets the idle timeout. Absent: nobody
   * follows.
   */
  progress?(share: number): void;
  /**
   * All bytes of a small artifact, e.g. an image, whose size the caller has checked. Absent if the host has no media.
   */
  bytes?(artifact: Artifact): Promise<Uint8Array>;
  /**
   * Files of the run's tenant, as functions of stages have them: a read and what a call writes in total are limited.
   * Absent if the host has no media.
   */
  readonly artifacts?: Pick<CodeArtifacts, 'read' | 'write'>;
  /**
   * Stores progress for the next attempt, which gets the last value as `resumeFrom`; `null` discards it. `transcribe`: a `text` in it
   * is what has been emitted so far. Clients that follow the run get it again, and the next attempt emits only what follows. Where the stage
   * asks for `segments`, a checkpoint without a list of that name has no such text.
   */
  checkpoint(progress: Json): void;
  readonly resumeFrom?: Json;
  /**
   * Calls `work` when no further attempt will ask the server for the outcome: the run has it, or no attempt continues
   * from the checkpoint. Absent: no other process continues from it.
   */
  whenKept?(work: () => void): void;
  /**
   * `chat`: the beginning of the answer, which has been read already. A server that can continue its own text gets it;
   * the connector then calls `continues` before it emits, and its reply has only what follows. Otherwise it ignores it,
   * and the reply is a whole answer.
   */
  readonly continued?: { readonly text: string; readonly continues: () => void };
  /**
   * Identical for every attempt of a stage in a run and unique to it, so that a server that supports such keys does the
   * work once. Printable ASCII.
   */
  readonly idempotencyKey?: string;
  /** Tenant of the run. Absent outside runs, e.g. in a measurement. */
  readonly tenant?: string;
  /** Priority of the stage. */
  readonly priority?: Priority;
  /**
   * Equal for calls whose prompts have the same beginning, such as those of one conversation; does not reveal the
   * prompt.
   */
  readonly affinity?: string;
  /** W3C trace context: one trace for the run, one span for the stage's call. */
  readonly traceparent?: string;
  /** When the attempt ends at the latest, on the clock of `performance.now()`. Absent: unknown. */
  readonly endsAt?: number;
  /** Callback addresses at which servers can report the end of a job. Absent: not configured. */
  readonly callbacks?: CallbackPort;
}

/** Callback addresses of the gateway for servers with jobs. A call there only means that the job should be polled. */
export interface CallbackPort {
  /** Opens an address for a job: its URL, and the token that identifies it here. */
  open(): Promise<{ readonly token: string; readonly url: string }>;
  /** Whether the server has called since this last returned true. */
  arrived(token: string): Promise<boolean>;
  /** Ends the wait for a call. */
  close(token: string): Promise<void>;
}

/** Converts whatever a connector catches into a `MillraceError`. */
export type MapError = (
  error: unknown,
  about: { endpoint: string; model: string; signal: AbortSignal },
) => MillraceError;
