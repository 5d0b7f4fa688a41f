import { z } from 'zod';
import type { Json, JsonObject } from '../json.js';
import { foreignSchema, foreignSchemas } from '../json-schema/index.js';
import { type Image, image } from '../media.js';
import { type Stream, stream } from '../stream.js';
import { type ContentPart, contentParts } from './content.js';
import { jsonSchemaOf } from './json-schema.js';
import type { StageKind, StageUse } from './kind.js';
import { markedForCaller, requestedCall, type ToolCall } from './tool-calls.js';
import { TRAITS } from './traits.js';

/** As OpenAI takes it. */
export const speakerName = z
  .string()
  .regex(/^[^\s<|\\/>]{1,64}$/, 'must be 1 to 64 characters without white space, <, >, |, / and \\');

/** A message of a conversation. */
export const chatMessage = z.object({
  role: z.enum(['user', 'assistant', 'system', 'tool']),
  content: z.string(),
  /** User and tool messages: parts after the text, in order. */
  parts: contentParts.optional(),
  /** Assistant messages: the tool calls that it requested. */
  toolCalls: z.array(requestedCall).optional(),
  /** Tool messages: id of the call that this answers. */
  toolCallId: z.string().optional(),
  /** Assistant messages: the model's reasoning; sent only to pools with the option `reasoningInHistory`. */
  reasoning: z.string().optional(),
  /** User, assistant and system messages: the author, if several have the same role. */
  name: speakerName.optional(),
});

export const REASONING_EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
/** Levels of reasoning effort, as in OpenAI’s API. */
export type ReasoningEffort = (typeof REASONING_EFFORTS)[number];

const penalty = z.number().min(-2).max(2);

/** Parameters of one call. Absent ones default to the definition's, or to the server's. */
const parameters = {
  /** Sampling temperature. */
  temperature: z.number().min(0).max(2).optional(),
  /** Nucleus sampling: sample only from the most likely tokens with this total probability. */
  topP: z.number().gt(0).max(1).optional(),
  /** Sample only from this many most likely tokens, if the server supports it. */
  topK: z.int().min(1).optional(),
  /** Sample only from tokens at least this fraction as likely as the most likely one, if the server supports it. */
  minP: z.number().min(0).max(1).optional(),
  /**
   * Return the log probabilities of the reply's tokens, each with this many most likely alternatives, if the server
   * supports it.
   */
  logprobs: z.int().min(0).max(20).optional(),
  maxTokens: z.int().min(1).optional(),
  /** Stop sequences. */
  stop: z.array(z.string().min(1)).max(16).optional(),
  seed: z.int().optional(),
  presencePenalty: penalty.optional(),
  frequencyPenalty: penalty.optional(),
  /** Reasoning effort of the model; `none` turns reasoning off if the model allows it. */
  reasoningEffort: z.enum(REASONING_EFFORTS).optional(),
  /** Offered tools, replacing the definition's. `schema`: JSON Schema of the arguments, enforced if `strict`. */
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
  /** `false`: one tool call at a time. Of several that a server sends even so, only the first counts. */
  parallelToolCalls: z.boolean().optional(),
  /** `json`: the reply is a JSON object. A schema: the reply fits this JSON Schema, enforced if `strict`. */
  output: z
    .union([z.literal('json'), z.strictObject({ schema: foreignSchema, strict: z.boolean().optional() })])
    .optional(),
};

const input = z.object({
  prompt: z.string(),
  /** Turns before the prompt, oldest first. */
  history: z.array(chatMessage).optional(),
  /** Images after the prompt: the same as parts of the type `image`. */
  images: z.array(image()).optional(),
  /** Parts of the prompt's message after its text and images, in order. */
  parts: contentParts.optional(),
  ...parameters,
});

/**
 * A conversation that may end with something other than a prompt, such as a tool's result. As a pipeline's input it
 * accepts everything that `converse` does: `stage('answer', converse({ model: 'assistant' }), input)`.
 */
export const chatInput = z
  .object({
    ...input.shape,
    prompt: z.string().optional(),
    history: z.array(chatMessage).default([]),
  })
  .refine(({ prompt, history }) => prompt !== undefined || history.length > 0, {
    path: ['prompt'],
    message: 'is required without a history',
  })
  .refine(({ prompt, images = [] }) => prompt !== undefined || images.length === 0, {
    path: ['images'],
    message: 'require a prompt',
  })
  .refine(({ prompt, parts = [] }) => prompt !== undefined || parts.length === 0, {
    path: ['parts'],
    message: 'require a prompt; it may be an empty text',
  });

const tokenProbability = z.object({
  /** For a token that is part of a character, U+FFFD stands for the bytes that are not text. */
  token: z.string(),
  /** Natural logarithm of the token's probability. */
  logprob: z.number(),
});

export const tokenLogprobs = z.array(tokenProbability.extend({ top: z.array(tokenProbability).default([]) }));

const output = z.object({
  text: z.string(),
  /** The model's reasoning, if the server separates it. */
  reasoning: z.string().optional(),
  /** The reply's tokens with their log probabilities, if `logprobs` requests them. */
  logprobs: tokenLogprobs.optional(),
  /** Why the reply ended: `stop`, `length` (cut at `maxTokens`) or `tools`. */
  finish: z.enum(['stop', 'length', 'tools']).default('stop'),
  /** The reply parsed as JSON, if `output` requests it. */
  data: z.json().optional(),
  /** Tool calls requested by the model, if `tools` offers some. */
  toolCalls: markedForCaller(z.array(requestedCall.extend({ wrong: z.string().optional() }))).optional(),
});

/** A message of a conversation. */
export interface ChatMessage {
  role: 'user' | 'assistant' | 'system' | 'tool';
  content: string;
  /** User and tool messages: parts after the text, in order. */
  parts?: ContentPart[] | undefined;
  /** User, assistant and system messages: the author, if several have the same role. */
  name?: string | undefined;
  /** Assistant messages: the tool calls that it requested. */
  toolCalls?: ToolCall[] | undefined;
  /** Tool messages: id of the call that this answers. */
  toolCallId?: string | undefined;
  /** Assistant messages: the model's reasoning; sent only to pools with the option `reasoningInHistory`. */
  reasoning?: string | undefined;
}

/** Parameters of one call, overriding the definition's. */
export type ChatParameters = Pick<z.output<typeof chatInput>, keyof typeof parameters>;

/** Input of `chat`: the prompt, the history before it, media, and parameters that override the definition’s. */
export interface ChatInput extends ChatParameters {
  prompt: string;
  history?: ChatMessage[] | undefined;
  /** Images after the prompt: the same as parts of the type `image`. */
  images?: Image[] | undefined;
  /** Parts of the prompt's message after its text and images, in order. */
  parts?: ContentPart[] | undefined;
}

/** A prompt after a history, or a history that ends with the message to answer. */
export interface ConversationInput extends ChatParameters {
  prompt?: string | undefined;
  history: ChatMessage[];
  images?: Image[] | undefined;
  parts?: ContentPart[] | undefined;
}

/** A token of a reply, with the most likely tokens at its position. */
export interface TokenLogprob {
  token: string;
  /** Natural logarithm of the token's probability. */
  logprob: number;
  top: { token: string; logprob: number }[];
}

/** Output of `chat` and `converse`. */
export interface ChatOutput<Data = never> {
  text: string;
  /** The model's reasoning, if the server separates it from the reply: at most its last 65,536 characters. */
  reasoning?: string | undefined;
  /** The reply's tokens with their log probabilities, if `logprobs` requests them. */
  logprobs?: TokenLogprob[] | undefined;
  finish: 'stop' | 'length' | 'tools';
  /** The reply's sentences and text deltas, streamed. */
  sentences: Stream<string>;
  tokens: Stream<string>;
  data: Data;
  /** Calls for the caller to execute. */
  toolCalls: ToolCall[];
}

/** A tool offered to the model: its name, what it does, and the schema of its arguments. */
export interface ChatTool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodObject;
}

/**
 * A constraint on the reply, enforced by the server while it generates: a list of texts, a regular expression, or a
 * grammar, the latter two in the server's own dialect.
 */
export type Constraint =
  | { readonly choice: readonly string[] }
  | { readonly regex: string }
  | { readonly grammar: string };

/** What to do with a conversation that does not fit into the model's context. */
export type OnOverflow = 'fail' | 'drop-oldest' | 'summarize';

/** Options of `chat` and `converse`. */
export interface ChatOptions<Data = never> {
  readonly model: string;
  /** System message. */
  readonly system?: string;
  /** Maximum tokens of the reply. Default 256: about a minute of speech. */
  readonly maxTokens?: number;
  /** Sampling temperature. Default 0: the same question gets the same answer, as a cache assumes. */
  readonly temperature?: number;
  /** Nucleus sampling: sample only from the most likely tokens with this total probability. */
  readonly topP?: number;
  /** Sample only from this many most likely tokens. Not part of OpenAI's own API. */
  readonly topK?: number;
  /**
   * Sample only from tokens at least this likely relative to the most likely one, 0 to 1. Not part of OpenAI's own API.
   */
  readonly minP?: number;
  /** Return the log probabilities of the reply's tokens, each with this many most likely alternatives, at most 20. */
  readonly logprobs?: number;
  /** Reasoning effort of the model. Default: the model's. */
  readonly reasoningEffort?: ReasoningEffort;
  /**
   * Maximum tokens of reasoning, in addition to `maxTokens` of the reply. A server without such a limit gets the sum of
   * both as its limit. Default: reasoning counts against `maxTokens`.
   */
  readonly thinkingTokens?: number;
  /** Constrains the reply's text. Needs vLLM, SGLang or, except for `regex`, llama.cpp. */
  readonly constrain?: Constraint;
  /**
   * `fail` (default): the stage fails with `CONTEXT_TOO_LONG`. `drop-oldest`: the oldest turns are omitted until the
   * rest fits. `summarize`: the model first summarizes them, in a separate call. System messages and the prompt stay.
   */
  readonly onOverflow?: OnOverflow;
  /**
   * Further members of the request's body as the server names them, such as `chat_template_kwargs`; they replace those
   * of the pool's `extra` and of the options above.
   */
  readonly extra?: JsonObject;
  /** Stop sequences. */
  readonly stop?: readonly string[];
  /** Constrains the reply to a JSON schema; `data` then has its type. Needs a server with structured output. */
  readonly output?: z.ZodType<Data>;
  /** Offered tools; calls are returned in `toolCalls`. Needs a server with tool calling. */
  readonly tools?: readonly ChatTool[];
}

/**
 * One turn of an LLM: from a prompt to a reply.
 *
 * ```ts
 * const answer = stage('answer', chat({ model: 'assistant', system: 'Answer in one sentence.' }), { prompt: heard.text });
 * answer.text;
 * ```
 */
export const chat = <Data = never>(options: ChatOptions<Data>): StageUse<ChatInput, ChatOutput<Data>> => {
  const { model, system, maxTokens = 256, temperature = 0, output: schema, tools } = options;
  return {
    kind: 'chat',
    model,
    with: {
      ...(system !== undefined && { system }),
      maxTokens,
      temperature,
      ...asGiven(options),
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

/** Options that reach the plan as they are written. */
const AS_GIVEN = [
  ...(['stop', 'topP', 'topK', 'minP', 'logprobs', 'reasoningEffort', 'thinkingTokens'] as const),
  ...(['constrain', 'onOverflow', 'extra'] as const),
];

const asGiven = (options: ChatOptions<unknown>): JsonObject =>
  Object.fromEntries(AS_GIVEN.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name] as Json]])));

/** Like `chat`, for a whole conversation: the prompt may be absent if the history ends with the message to answer. */
export const converse = <Data = never>(options: ChatOptions<Data>): StageUse<ConversationInput, ChatOutput<Data>> => {
  const { kind, model, with: own, output } = chat(options);
  return { kind, model, with: own, input: chatInput as unknown as z.ZodType<ConversationInput>, output };
};

export const chatKind: StageKind = { input: chatInput, output, ...TRAITS.chat };
