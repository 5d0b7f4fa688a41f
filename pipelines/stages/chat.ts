import { z } from 'zod';
import { foreignSchema, foreignSchemas } from '../json-schema/index.js';
import { type Image, image, type Stream, stream } from '../media.js';
import { jsonSchemaOf } from './json-schema.js';
import type { StageKind, StageUse } from './kind.js';
import { askedCall, markedAsked, type ToolCall } from './tool-calls.js';
import { TRAITS } from './traits.js';

/** A message of a conversation. */
export const chatMessage = z.object({
  role: z.enum(['user', 'assistant', 'system', 'tool']),
  content: z.string(),
  /** Of the assistant: the tools that it wanted called. */
  toolCalls: z.array(askedCall).optional(),
  /** Of a tool: the call whose result it is. */
  toolCallId: z.string().optional(),
});

const penalty = z.number().min(-2).max(2);

/** What may be said for each call; what is absent is as the definition has it, or as the server does by itself. */
const parameters = {
  /** Sampling temperature. */
  temperature: z.number().min(0).max(2).optional(),
  /** Only the likeliest tokens that have this probability together are drawn from. */
  topP: z.number().gt(0).max(1).optional(),
  maxTokens: z.int().min(1).optional(),
  /** Texts at which the reply ends. */
  stop: z.array(z.string().min(1)).max(16).optional(),
  seed: z.int().optional(),
  presencePenalty: penalty.optional(),
  frequencyPenalty: penalty.optional(),
  /** Tools on offer, in place of the definition's; `schema` is the JSON Schema of the arguments, `strict` binds them to it. */
  tools: z
    .array(
      z.object({
        name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be a name of letters, digits, _ and -'),
        description: z.string().default(''),
        schema: z.looseObject({}),
        strict: z.boolean().optional(),
      }),
    )
    .max(128)
    .superRefine(foreignSchemas('schema'))
    .refine((tools) => new Set(tools.map(({ name }) => name)).size === tools.length, 'has the same name twice')
    .optional(),
  toolChoice: z.union([z.enum(['auto', 'none', 'required']), z.strictObject({ name: z.string() })]).optional(),
  parallelToolCalls: z.boolean().optional(),
  /** `json`: the reply is a JSON object. A schema: it fits this JSON Schema, to which `strict` binds it. */
  output: z
    .union([z.literal('json'), z.strictObject({ schema: foreignSchema, strict: z.boolean().optional() })])
    .optional(),
};

const input = z.object({
  prompt: z.string(),
  /** The turns before the prompt, oldest first. */
  history: z.array(chatMessage).optional(),
  /** For models that see. */
  images: z.array(image()).optional(),
  ...parameters,
});

/**
 * A conversation that may end with something else than a prompt, such as a tool's result. As the input of a pipeline it takes
 * all that `converse` does: `stage('answer', converse({ model: 'assistant' }), input)`.
 */
export const chatInput = z
  .object({
    ...input.shape,
    prompt: z.string().optional(),
    history: z.array(chatMessage).default([]),
  })
  .refine(({ prompt, history }) => prompt !== undefined || history.length > 0, {
    path: ['prompt'],
    message: 'is needed where there is no history',
  })
  .refine(({ prompt, images = [] }) => prompt !== undefined || images.length === 0, {
    path: ['images'],
    message: 'belong to a prompt',
  });

const output = z.object({
  text: z.string(),
  /** Why the reply ended: `stop`, `length` (cut at `maxTokens`) or `tools`. */
  finish: z.enum(['stop', 'length', 'tools']).default('stop'),
  /** The reply read as JSON, where `output` asks for it. */
  data: z.json().optional(),
  /** The tools that the model wants called, where `tools` offers some. */
  toolCalls: markedAsked(z.array(askedCall.extend({ wrong: z.string().optional() }))).optional(),
});

export interface ChatMessage {
  role: 'user' | 'assistant' | 'system' | 'tool';
  content: string;
  /** Of the assistant: the tools that it wanted called. */
  toolCalls?: ToolCall[] | undefined;
  /** Of a tool: the call whose result it is. */
  toolCallId?: string | undefined;
}

/** What may be said for each call, over what the definition says. */
export type ChatParameters = Pick<z.output<typeof chatInput>, keyof typeof parameters>;

export interface ChatInput extends ChatParameters {
  prompt: string;
  history?: ChatMessage[] | undefined;
  images?: Image[] | undefined;
}

/** A prompt behind a history, or a history that ends with what is to be answered. */
export interface ConversationInput extends ChatParameters {
  prompt?: string | undefined;
  history: ChatMessage[];
  images?: Image[] | undefined;
}

export interface ChatOutput<Data = never> {
  text: string;
  finish: 'stop' | 'length' | 'tools';
  /** The reply's sentences and text deltas as they come. */
  sentences: Stream<string>;
  tokens: Stream<string>;
  data: Data;
  /** Calls that the caller is to make. */
  toolCalls: ToolCall[];
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

/** As `chat`, of a whole conversation: the prompt may be absent where the history ends with what is to be answered. */
export const converse = <Data = never>(options: ChatOptions<Data>): StageUse<ConversationInput, ChatOutput<Data>> => {
  const { kind, model, with: own, output } = chat(options);
  return { kind, model, with: own, input: chatInput as unknown as z.ZodType<ConversationInput>, output };
};

export const chatKind: StageKind = { input: chatInput, output, ...TRAITS.chat };
