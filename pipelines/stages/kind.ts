import type { z } from 'zod';
import type { Artifact } from '../artifact.js';
import type { PolicyOptions } from '../definition/policy.js';
import type { JsonObject } from '../json.js';
import type { Audio } from '../media.js';
import type { KindTraits, OfKind } from './traits.js';

/**
 * A stage kind bound to its options: the argument of `stage()`. `I` and `O` are the types of its input and output.
 */
export interface StageUse<I, O> extends OfKind {
  /** Key of `STAGE_KINDS`, or the name of a kind made with `defineKind`. */
  readonly kind: string;
  /** Name of the pool that serves it, of the index, or of a `code` stage's function. */
  readonly model: string;
  readonly with: JsonObject;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** Function of a `code` stage; it stays in the worker, the plan holds its name. */
  readonly run?: CodeFunction<I, O>;
  /** Schema of what the function of a `code` stage yields; absent: it returns its output. */
  readonly entry?: z.ZodType;
  /** Version of a `code` stage's function, where the author gives one. */
  readonly codeVersion?: string;
  readonly compatible?: true | readonly string[];
  /** Other functions that stay in the worker: those of an agent's tools. */
  readonly functions?: readonly NamedCode[];
  /** Kinds made with `defineKind` that it uses, its own first; they stay in the worker, the plan has their names. */
  readonly definitions?: readonly DefinedKind[];
}

/** Selects the implementation of a function that a run uses. */
export interface CodeVersion {
  /**
   * Change it whenever the function's behaviour changes: a run keeps the version that it started with. Without a
   * version a run keeps the build that it started with, whatever later builds change.
   */
  readonly version?: string;
  /** Versions that this one may replace when no worker has them any more; `true`: all older ones. */
  readonly compatible?: true | readonly string[];
}

/** A function kept by the worker, under the name used in the plan. */
export interface NamedCode extends CodeStage, CodeVersion {
  readonly name: string;
  /** Identifies the function's sources, where its version is that of a build. */
  readonly sources?: string;
  /** It is a tool's, and not yet named after its pipeline. */
  readonly ofTool?: true;
}

/** What the worker keeps of a `code` stage. */
export interface CodeStage {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  /** Of a function that yields: the schema of each entry. */
  readonly entry?: z.ZodType;
  readonly run: (input: unknown, context: CodeContext) => unknown;
}

/** The function of a `code` stage: from the stage’s input to its output, or a promise of it. */
export type CodeFunction<I, O> = (input: I, context: CodeContext) => O | Promise<O>;

/** A generator; a function may also return an iterable. */
export type StreamFunction<I, T> = (input: I, context: StreamContext<T>) => AsyncIterable<T> | Iterable<T>;

/** The entries that an earlier attempt has committed to the stream. */
export interface ResumeFrom<T> {
  /** Number of committed entries, 1 or more. */
  readonly count: number;
  /** The last of them. */
  readonly last: T;
}

export interface StreamContext<T> extends CodeContext {
  /**
   * What earlier attempts have committed; absent if nothing is. A function that reads this field yields what follows, and the streams
   * that it reads continue after what had been read when the last entry was yielded. A function that does not read it starts again: what
   * it repeats is dropped, and anything else is `STREAM_CUT`. A copy of the context, `{ ...context }`, does not have it.
   *
   * A function that reads streams may use this field only if each entry that it yields covers everything that it has read so far. Input
   * that was read but not yet yielded for is not read again and is lost: the rest of a text that the function splits into several entries,
   * or lines that it holds to join them with later ones. Such a function must not read this field.
   */
  readonly resumeFrom?: ResumeFrom<T>;
}

/**
 * Second argument of a function: the abort signal of the attempt, facts about the call, and the media of the run’s
 * tenant.
 */
export interface CodeContext {
  /** Aborts when the attempt ends early: a timeout, a cancelled run, a lost race. */
  readonly signal: AbortSignal;
  /** The same in every attempt of this stage in this run, so that a called service can drop repeats. */
  readonly idempotencyKey: string;
  /** Tenant of the run. */
  readonly tenant: string;
  /** Media of the run's tenant. */
  readonly artifacts: CodeArtifacts;
}

/**
 * Reads and writes artifacts of the run's tenant during one call of a function. `MILLRACE_MAX_STAGE_MEDIA_BYTES` limits
 * what is read at a time (`BODY_TOO_LARGE`) and what the call writes in total (`OUTPUT_BUDGET_EXCEEDED`).
 */
export interface CodeArtifacts {
  /**
   * All bytes of an artifact, checked against its sha256. Throws `ARTIFACT_NOT_FOUND`, also for another tenant's
   * artifact, `ARTIFACT_CORRUPT` and `STORE_UNAVAILABLE`.
   */
  read(artifact: Artifact): Promise<Uint8Array>;
  /**
   * Stores bytes under an IANA media type, `image/png`. Bytes of audio, images and videos are checked: `INVALID_MEDIA`. Throws
   * `QUOTA_EXCEEDED`, `STORE_FULL` and `STORE_UNAVAILABLE`.
   */
  write(bytes: Uint8Array, options: { readonly type: string }): Promise<Artifact>;
  /**
   * Mono samples in [-1, 1] of audio in any supported encoding, at its own rate; channels are mixed. Throws as `read`
   * does, `INVALID_MEDIA`, and `CONVERSION_UNAVAILABLE` if it needs ffmpeg and there is none.
   */
  readAudio(audio: Artifact): Promise<AudioSamples>;
  /** Stores mono samples in [-1, 1] as 16-bit WAV; values outside are clipped. Throws as `write` does. */
  writeAudio(samples: Float32Array, sampleRate: number): Promise<Audio>;
}

/** Mono audio in memory. */
export interface AudioSamples {
  readonly samples: Float32Array;
  /** Samples per second. */
  readonly sampleRate: number;
}

/** A row of the table of stage kinds. */
export interface StageKind extends KindTraits {
  readonly input: z.ZodType;
  /** Schema of the server's response, without derived fields. */
  readonly output: z.ZodType;
  /**
   * Kinds that the interpreter executes through calls of pools: the kind of these calls. The stage's policy then
   * applies to each call.
   */
  readonly calls?: 'chat';
  /** Options that name further pools, besides the stage's own, which this kind needs. */
  readonly alsoNeeds?: readonly string[];
  /** Defaults of the kind that differ from the general ones, each with its reason in a comment. */
  readonly policy?: PolicyOptions;
  /** An input by which a pool's model is measured; different serials give different inputs. */
  readonly example?: (serial: number) => JsonObject;
}

/** A kind made with `defineKind`. */
export interface DefinedKind extends StageKind {
  /** With a namespace: `acme/segment`. */
  readonly name: string;
}
