import type { z } from 'zod';
import type { Json } from '../json.js';
import type { Plan } from '../plan/plan.js';
import type { DefinedKinds } from '../stages/index.js';
import type { NamedCode } from '../stages/kind.js';
import type { McpOption } from './mcp.js';
import type { ModelFaces } from './openai.js';
import type { StageOptions } from './stage-options.js';

/** What happens to a run whose caller leaves without its result. */
export type OnLeave = 'cancel' | 'continue';

/** A pipeline definition. `I` is the type of the caller's input, `O` of a run's output. */
export interface Pipeline<I = unknown, O = unknown> {
  readonly name: string;
  readonly description: string;
  readonly plan: Plan;
  /** Validates a run's input; unknown fields are errors. */
  readonly input: z.ZodType<unknown, I>;
  /** Schema of a run's output. */
  readonly output: z.ZodType<O>;
  readonly inputSchema: Json;
  readonly outputSchema: Json;
  /** The OpenAI surfaces on which the pipeline is served. */
  readonly openai: ModelFaces;
  /** Why it is on none of them. */
  readonly noModel?: string;
  /** What its author states about runs whose caller leaves. Absent: their effects decide. */
  readonly onLeave?: OnLeave;
  /** What clients of MCP see of it besides its tool; not part of the plan. */
  readonly mcp?: Required<McpOption>;
  /** Functions of `code` stages and tools by their versioned name: `total`, `total@2`. */
  readonly code: ReadonlyMap<string, NamedCode>;
  /** The kinds made with `defineKind` that its stages and tools use. */
  readonly kinds: DefinedKinds;
  /** Options given by the author, by stage id; not part of the plan, which holds resolved values. */
  readonly authored: ReadonlyMap<string, StageOptions>;
}
