import { z } from 'zod';
import type { Artifact } from '../artifact.js';
import { bare } from '../media.js';

/** A tool call requested by the model, for the caller to execute. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
}

/** How a tool call ended. The model is given the error of a `failed` and of a `wrong` call. */
const ENDS = ['done', 'failed', 'refused', 'wrong'] as const;

/** A tool call executed by an agent; calls are listed in the order in which the model requested them. */
export interface AgentToolCall {
  turn: number;
  /** At the first call of a turn: what the model wrote before its calls. */
  said?: string | undefined;
  name: string;
  arguments: Record<string, unknown>;
  end: (typeof ENDS)[number];
  /** Of a result that was too long for the conversation: its beginning, with a note. */
  result?: unknown;
  /** The whole result as a text artifact, where `result` is its beginning. */
  whole?: Artifact | undefined;
  code?: string | undefined;
  message?: string | undefined;
  /** What a person said or changed when approving the call; the model was told. */
  note?: string | undefined;
}

export const requestedCall = z.object({ id: z.string(), name: z.string(), arguments: z.looseObject({}) });

const executedCall = z.object({
  /** Number of the model call that requested it, from 1. */
  turn: z.int(),
  /** At the first call of a turn: what the model wrote before its calls. */
  said: z.string().optional(),
  name: z.string(),
  arguments: z.looseObject({}),
  end: z.enum(ENDS),
  /** The tool's result, when `done`. */
  result: z.json().optional(),
  whole: z.looseObject({ uri: z.string(), sha256: z.string(), mime: z.string(), bytes: z.int() }).optional(),
  /** Why it is not `done`: a code of the error table, and the message given to the model. */
  code: z.string().optional(),
  message: z.string().optional(),
  note: z.string().optional(),
});

/** What the caller must do with a list of calls. Protocol handlers decide by this mark, never by a field's name. */
export type CallsToDo = 'execute' | 'none';

/**
 * Schema of calls for the caller to execute, as `chat` returns them when `tools` offers some. OpenAI clients receive an
 * output field of this schema as `tool_calls`; a `code` stage that changes such calls declares it in its output.
 */
export const toolCalls = (): z.ZodType<ToolCall[]> => markedForCaller(z.array(requestedCall));

export const markedForCaller = <T extends z.ZodType>(calls: T): T =>
  calls.meta({ toolCalls: 'execute', description: 'Tool calls for the caller to execute' });

/** Schema of calls that an agent has executed. */
export const executedCalls = z
  .array(executedCall)
  .meta({ toolCalls: 'none', description: 'Tool calls already executed: the caller has nothing to do' });

/** The mark of the calls in a schema's values; undefined if there are none, or of both sorts. */
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
