import type { z } from 'zod';
import type { Json } from '../json.js';
import type { Plan } from '../plan/plan.js';
import type { NamedCode } from '../stages/kind.js';
import type { ModelFaces } from './openai.js';
import type { StageOptions } from './stage-options.js';

/** A pipeline definition. `I` is the type of what a caller sends, `O` of a run's output. */
export interface Pipeline<I = unknown, O = unknown> {
  readonly name: string;
  readonly description: string;
  readonly plan: Plan;
  /** Checks a run's input; unknown fields are errors. */
  readonly input: z.ZodType<unknown, I>;
  /** Describes a run's output. */
  readonly output: z.ZodType<O>;
  readonly inputSchema: Json;
  readonly outputSchema: Json;
  /** The kinds of model that it is to OpenAI's clients. */
  readonly openai: ModelFaces;
  /** The functions of `code` stages and tools, by what they are called: `total`, `total@2`. */
  readonly code: ReadonlyMap<string, NamedCode>;
  /** The options that the author gave to each stage, by its id in the plan; no part of the plan, whose defaults are resolved. */
  readonly authored: ReadonlyMap<string, StageOptions>;
}
