import { z } from 'zod';
import { bare } from '../media.js';

/** A call that the caller is to make: the model has asked for it, and nobody has made it. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
}

/** How a tool call has ended: `told` are a failure and a wrong call that the model was told of. */
const ENDS = ['done', 'failed', 'refused', 'wrong'] as const;

/** A tool call that an agent has made, in the order in which the model asked for them. */
export interface AgentToolCall {
  turn: number;
  name: string;
  arguments: Record<string, unknown>;
  end: (typeof ENDS)[number];
  result?: unknown;
  code?: string | undefined;
  message?: string | undefined;
}

export const askedCall = z.object({ id: z.string(), name: z.string(), arguments: z.looseObject({}) });

const executedCall = z.object({
  /** The model call that asked for it, from 1. */
  turn: z.int(),
  name: z.string(),
  arguments: z.looseObject({}),
  end: z.enum(ENDS),
  /** What the tool gave, of one that is `done`. */
  result: z.json().optional(),
  /** Why it is not `done`: a code of the error table, and what the model was told. */
  code: z.string().optional(),
  message: z.string().optional(),
});

/** What is to be done about a list of calls: the doors tell it by this, and never by a field's name. */
export type CallsToDo = 'execute' | 'none';

/**
 * Schema of calls that the caller is to make, as `chat` gives them where `tools` offers some. OpenAI's clients get an output
 * field of this schema as `tool_calls`; a `code` stage that changes such calls has it in its output.
 */
export const toolCalls = (): z.ZodType<ToolCall[]> => markedAsked(z.array(askedCall));

export const markedAsked = <T extends z.ZodType>(calls: T): T =>
  calls.meta({ toolCalls: 'execute', description: 'Tool calls for the caller to execute' });

/** Schema of calls that an agent has made. */
export const executedCalls = z
  .array(executedCall)
  .meta({ toolCalls: 'none', description: 'Calls that have been made: nothing is left to do about them' });

/** What a schema says of the calls in its values; undefined where they are none, or of both sorts. */
export function callsIn(schema: z.ZodType): CallsToDo | undefined {
  const inner = bare(schema);
  if (inner instanceof z.ZodUnion) {
    const found = new Set((inner.options as z.ZodType[]).map(callsIn).filter((each) => each !== undefined));
    const [only, ...others] = found;
    return others.length === 0 ? only : undefined;
  }
  const marked = inner.meta()?.toolCalls;
  return marked === 'execute' || marked === 'none' ? marked : undefined;
}
