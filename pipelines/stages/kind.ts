import type { z } from 'zod';
import type { PolicyOptions } from '../definition/policy.js';
import type { JsonObject } from '../json.js';

/**
 * A stage kind bound to its options: what an author passes to `stage()`.
 * `I` and `O` are the types of its input and output.
 */
export interface StageUse<I, O> {
  /** Key of `STAGE_KINDS`. */
  readonly kind: string;
  /** Name of the pool that serves it, or of the function of a `code` stage. */
  readonly model: string;
  readonly with: JsonObject;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** The function of a `code` stage; it stays in the worker, the plan holds its name. */
  readonly run?: CodeFunction<I, O>;
}

/** What the worker keeps of a `code` stage. */
export interface CodeStage {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly run: (input: unknown, context: { readonly signal: AbortSignal }) => unknown;
}

export type CodeFunction<I, O> = (input: I, context: { readonly signal: AbortSignal }) => O | Promise<O>;

/** A row of the table of stage kinds. */
export interface StageKind {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  /** Carried out by the interpreter itself: it takes no policy and no cache. */
  readonly control?: true;
  /** Defaults of the kind where they differ from the general ones, with the reason beside them. */
  readonly policy?: PolicyOptions;
}
