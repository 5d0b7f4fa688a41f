import type { z } from 'zod';
import type { PolicyOptions } from '../definition/policy.js';
import type { JsonObject } from '../json.js';
import type { KindTraits } from './traits.js';

/**
 * A stage kind bound to its options: what an author passes to `stage()`.
 * `I` and `O` are the types of its input and output.
 */
export interface StageUse<I, O> {
  /** Key of `STAGE_KINDS`. */
  readonly kind: string;
  /** Name of the pool that serves it, of the index, or of the function of a `code` stage. */
  readonly model: string;
  readonly with: JsonObject;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** The function of a `code` stage; it stays in the worker, the plan holds its name. */
  readonly run?: CodeFunction<I, O>;
  /** Of a `code` stage: its function's version, where the author gives one. */
  readonly codeVersion?: string;
  readonly compatible?: true | readonly string[];
  /** Other functions that stay in the worker: those of an agent's tools. */
  readonly functions?: readonly NamedCode[];
}

/** Which body of a function a run gets. */
export interface CodeVersion {
  /**
   * To be changed with what the function does: a run gets the version that it began with. Without one it gets the build that
   * it began with, whatever a later one has changed.
   */
  readonly version?: string;
  /** Versions that this body may stand in for where no worker has them any more; `true`: all older ones. */
  readonly compatible?: true | readonly string[];
}

/** A function that the worker keeps, by the name that the plan has. */
export interface NamedCode extends CodeStage, CodeVersion {
  readonly name: string;
  /** Identifies the sources that it is made of, where its version is that of the build. */
  readonly sources?: string;
}

/** What the worker keeps of a `code` stage. */
export interface CodeStage {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly run: (input: unknown, context: CodeContext) => unknown;
}

export type CodeFunction<I, O> = (input: I, context: CodeContext) => O | Promise<O>;

export interface CodeContext {
  /** Aborts when the attempt ends early: a timeout, a cancelled run, a lost race. */
  readonly signal: AbortSignal;
  /** The same in every attempt of this stage of this run: a service that is told it can drop a repeat. */
  readonly idempotencyKey: string;
  /** Whose run it is. */
  readonly tenant: string;
}

/** A row of the table of stage kinds. */
export interface StageKind extends KindTraits {
  readonly input: z.ZodType;
  /** What the server's answer must fit; fields that derive from others are not in it. */
  readonly output: z.ZodType;
  /**
   * Of what the interpreter carries out by calls of pools: the kind of these calls. The stage's policy is then that of each
   * call.
   */
  readonly calls?: 'chat';
  /** The pools, besides the stage's own, that a stage of this kind needs, by the name of the option that names them. */
  readonly alsoNeeds?: readonly string[];
  /** Defaults of the kind where they differ from the general ones, with the reason beside them. */
  readonly policy?: PolicyOptions;
}
