import { z } from 'zod';
import { type Image, image, type Stream, stream } from '../media.js';
import { jsonSchemaOf } from './json-schema.js';
import type { StageKind, StageUse } from './kind.js';

const toolCall = z.object({ id: z.string(), name: z.string(), arguments: z.looseObject({}) });

/** A message of a conversation. */
export const chatMessage = z.object({
  role: z.enum(['user', 'assistant', 'system', 'tool']),
  content: z.string(),
  /** Of the assistant: the tools that it wanted called. */
  toolCalls: z.array(toolCall).optional(),
  /** Of a tool: the call whose result it is. */
  toolCallId: z.string().optional(),
});

const input = z.object({
  prompt: z.string(),
  /** The turns before the prompt, oldest first. */
  history: z.array(chatMessage).optional(),
  /** For models that see. */
  images: z.array(image()).optional(),
});

/** A call within a conversation may have no prompt: it goes on behind the results of tools. */
const anyInput = input
  .extend({ prompt: z.string().optional() })
  .refine(({ prompt, history = [] }) => prompt !== undefined || history.length > 0, 'has neither prompt nor history');

const output = z.object({
  text: z.string(),
  /** Why the reply ended: `stop`, `length` (cut at `maxTokens`) or `tools`. */
  finish: z.enum(['stop', 'length', 'tools']).default('stop'),
  /** The reply read as JSON, where `output` asks for it. */
  data: z.json().optional(),
  /** The tools that the model wants called, where `tools` offers some. */
  toolCalls: z.array(toolCall.extend({ wrong: z.string().optional() })).optional(),
});

export interface ChatMessage {
  role: 'user' | 'assistant' | 'system' | 'tool';
  content: string;
  /** Of the assistant: the tools that it wanted called. */
  toolCalls?: { id: string; name: string; arguments: Record<string, unknown> }[] | undefined;
  /** Of a tool: the call whose result it is. */
  toolCallId?: string | undefined;
}

export interface ChatInput {
  prompt: string;
  history?: ChatMessage[] | undefined;
  images?: Image[] | undefined;
}

export interface ChatOutput<Data = never> {
  text: string;
  finish: 'stop' | 'length' | 'tools';
  /** The reply's sentences and text deltas as they come. */
  sentences: Stream<string>;
  tokens: Stream<string>;
  data: Data;
  toolCalls: { id: string; name: string; arguments: Record<string, unknown> }[];
}

/** A tool that the model may ask for: its name, what it does, and the schema of its arguments. */
export interface ChatTool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodObject;
}

export interface ChatOptions<Data = never> {
  readonly model: string;
  /** System message. */
  readonly system?: string;
  /** Most tokens of the reply. Default 256: about a minute of speech. */
  readonly maxTokens?: number;
  /** Sampling temperature. Default 0: the same question gets the same answer, which a cache assumes. */
  readonly temperature?: number;
  /** Texts at which the reply ends. */
  readonly stop?: readonly string[];
  /** Binds the reply to a JSON schema; `data` is then of its type. Needs a server with structured output. */
  readonly output?: z.ZodType<Data>;
  /** Tools on offer; calls come back in `toolCalls`. Needs a server with tool calling. */
  readonly tools?: readonly ChatTool[];
}

/**
 * One turn of an LLM: a prompt to a reply.
 *
 * ```ts
 * const answer = stage('answer', chat({ model: 'assistant', system: 'Answer in one sentence.' }), { prompt: heard.text });
 * answer.text;
 * ```
 */
export const chat = <Data = never>(options: ChatOptions<Data>): StageUse<ChatInput, ChatOutput<Data>> => {
  const { model, system, maxTokens = 256, temperature = 0, stop, output: schema, tools } = options;
  return {
    kind: 'chat',
    model,
    with: {
      ...(system !== undefined && { system }),
      maxTokens,
      temperature,
      ...(stop !== undefined && { stop }),
      ...(schema !== undefined && { schema: jsonSchemaOf(schema, 'chat.output') }),
      ...(tools !== undefined && {
        tools: tools.map(({ name, description, input }) => ({
          name,
          description,
          schema: jsonSchemaOf(input, `${name}.input`),
        })),
      }),
    },
    input: input as unknown as z.ZodType<ChatInput>,
    output: output.extend({
      data: schema ?? z.undefined(),
      sentences: stream('sentences', 'text'),
      tokens: stream('tokens', 'text'),
    }) as unknown as z.ZodType<ChatOutput<Data>>,
  };
};

export const chatKind: StageKind = { input: anyInput, output, servedBy: 'pool' };
