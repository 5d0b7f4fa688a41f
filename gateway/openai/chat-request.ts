import { z } from 'zod';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { foreignSchema, foreignSchemas } from '../../pipelines/json-schema/index.js';
import { type ChatMessage, speakerName } from '../../pipelines/stages/index.js';
import { ModestJson } from '../input/json-size.js';
import { checked } from './body.js';
import type { SpokenWish } from './chat-audio.js';
import { MOST_CHOICES } from './choices.js';
import { type Conversation, givenParameters, type Parameter, type Turn } from './conversation.js';
import { argumentsOfInput, customTool, functionOf, TOOL_TYPES } from './custom-tools.js';
import { invalidParam } from './error-body.js';
import { listOf } from './list-of.js';
import { contentOf, detailOf, imageDetail, type SentPart } from './sent-parts.js';
import { chatToolChoice, chosen } from './tool-choice.js';

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const imagePart = z.object({
  type: z.literal('image_url'),
  image_url: z.object({ url: z.string(), detail: imageDetail.nullish() }),
});
const audioPart = z.object({
  type: z.literal('input_audio'),
  input_audio: z.object({ data: z.string(), format: z.string().regex(/^[a-z0-9]{1,16}$/) }),
});
const filePart = z.object({
  type: z.literal('file'),
  file: z.object({
    file_data: z.string('is required: files are not kept under ids here'),
    filename: z.string().min(1).max(255).nullish(),
    file_id: z.null('is not supported: send the file in file_data').optional(),
  }),
});
/** Of vLLM and SGLang: OpenAI's API has no videos. */
const videoPart = z.object({ type: z.literal('video_url'), video_url: z.object({ url: z.string() }) });
const userPart = z.discriminatedUnion('type', [textPart, imagePart, audioPart, filePart, videoPart]);
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });
const texts = z.union([z.string(), listOf(textPart)]);
const nothing = z.null().optional();

const speaker = speakerName.nullish();

const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content: texts, name: speaker }),
  z.object({
    role: z.literal('user'),
    content: z.union([z.string(), listOf(userPart)]),
    name: speaker,
  }),
  z.object({
    role: z.literal('assistant'),
    content: z.union([z.string(), listOf(z.discriminatedUnion('type', [textPart, refusalPart]))]).nullish(),
    tool_calls: listOf(
      z.discriminatedUnion('type', [
        z.object({
          id: z.string(),
          type: z.literal('function'),
          function: z.object({ name: z.string(), arguments: z.string() }),
        }),
        z.object({
          id: z.string(),
          type: z.literal('custom'),
          custom: z.object({ name: z.string(), input: z.string() }),
        }),
      ]),
    ).nullish(),
    refusal: z.string().nullish(),
    /**
     * Not of OpenAI: what the model thought before, under the names that servers of reasoning models use. Clients send back what they got: a
     * value of another form, which another server has made, is passed over.
     */
    reasoning_content: z.unknown().optional(),
    reasoning: z.unknown().optional(),
    name: speaker,
    audio: z.object({ id: z.string().max(256) }).nullish(),
    function_call: nothing,
  }),
  z.object({ role: z.literal('tool'), content: texts, tool_call_id: z.string() }),
]);

const schemaFormat = z.object({
  type: z.literal('json_schema'),
  json_schema: z.object({
    name: z.string().optional(),
    description: z.string().nullish(),
    schema: foreignSchema,
    strict: z.boolean().nullish(),
  }),
});

const chatBody = z.object({
  model: z.string(),
  messages: listOf(message, { min: 1 }),
  n: z.int().min(1).max(MOST_CHOICES, `must be ${MOST_CHOICES} or less: each choice is a run`).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  top_k: z.int().min(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  stop: z.union([z.string(), listOf(z.string(), { max: 16 })]).nullish(),
  seed: z.int().nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  reasoning_effort: z.string().nullish(),
  verbosity: z.string().nullish(),
  user: z.string().nullish(),
  tools: listOf(
    z.discriminatedUnion(
      'type',
      [
        z.object({
          type: z.literal('function'),
          function: z.object({
            name: z.string(),
            description: z.string().nullish(),
            parameters: z.looseObject({}).nullish(),
            strict: z.boolean().nullish(),
          }),
        }),
        z.object({ type: z.literal('custom'), custom: customTool }),
      ],
      TOOL_TYPES,
    ),
  )
    .superRefine(foreignSchemas('function', 'parameters'))
    .nullish(),
  tool_choice: chatToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  modalities: listOf(z.enum(['text', 'audio'])).nullish(),
  audio: z
    .object({
      voice: z.union([z.string(), z.object({ id: z.string() })]).nullish(),
      format: z.enum(['wav', 'mp3', 'flac', 'opus', 'aac', 'pcm16']),
    })
    .nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      schemaFormat,
    ])
    .nullish(),
});

/** Unsupported parameters, with a check for values that have no effect. */
const NEUTRAL: Readonly<Record<string, (value: Json) => boolean>> = {
  logit_bias: (value) => isJsonObject(value) && Object.keys(value).length === 0,
  functions: (value) => Array.isArray(value) && value.length === 0,
};

/** Parameters for the caller's own records, or without effect on the answer. */
const HARMLESS: readonly string[] = [
  'safety_identifier',
  'metadata',
  'store',
  'service_tier',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'prediction',
];

export interface ChatRequest {
  readonly model: string;
  readonly stream: boolean;
  /** How many answers are wanted. */
  readonly choices: number;
  /** Whether the last chunk of the stream has the token usage. */
  readonly includeUsage: boolean;
  readonly conversation: Conversation;
  /** Names of the tools that are called with a text. */
  readonly customTools: ReadonlySet<string>;
  /** The answer is wanted as audio, in this format. */
  readonly spoken?: SpokenWish;
}

/** Reads the body of `POST /v1/chat/completions`. Throws `INVALID_INPUT` with the parameter. */
export function readChatRequest(given: Json): ChatRequest {
  const request = checked(chatBody, given, { neutral: NEUTRAL, harmless: HARMLESS });
  const { model, stream, stream_options, messages } = request;
  if (stream_options && !stream) throw invalidParam('stream_options', 'requires "stream": true');
  const spoken = spokenOf(request);
  const json = new ModestJson();
  return {
    model,
    stream: stream ?? false,
    choices: request.n ?? 1,
    customTools: new Set(request.tools?.flatMap((tool) => (tool.type === 'custom' ? [tool.custom.name] : []))),
    ...(spoken && { spoken }),
    includeUsage: stream_options?.include_usage ?? false,
    conversation: {
      about: 'messages',
      turns: messages.map((each, i) => turnOf(each, `messages[${i}]`, json)),
      parameters: parametersOf(request),
    },
  };
}

function spokenOf({ modalities, audio }: z.output<typeof chatBody>): SpokenWish | undefined {
  const wanted = modalities?.includes('audio') ?? false;
  if (audio && !wanted) throw invalidParam('audio', 'requires "modalities": ["text", "audio"]');
  if (!wanted) return undefined;
  if (!audio) throw invalidParam('audio', 'is required with the modality "audio": { "voice": …, "format": "wav" }');
  const { voice, format } = audio;
  const named = typeof voice === 'object' ? voice?.id : voice;
  return { format: format === 'pcm16' ? 'pcm' : format, ...(named !== undefined && { voice: named }) };
}

function turnOf(given: z.output<typeof message>, param: string, json: ModestJson): Turn {
  const turn = unnamedTurn(given, param, json);
  const name = given.role === 'tool' ? undefined : given.name;
  return typeof name === 'string' ? { ...turn, message: { ...turn.message, name } } : turn;
}

function unnamedTurn(given: z.output<typeof message>, param: string, json: ModestJson): Turn {
  switch (given.role) {
    case 'tool':
      return { param, message: { role: 'tool', content: textOf(given.content), toolCallId: given.tool_call_id } };
    case 'assistant': {
      const calls = (given.tool_calls ?? []).map((call, i) => {
        const { id } = call;
        if (call.type === 'custom')
          return { id, name: call.custom.name, arguments: argumentsOfInput(call.custom.input) };
        const { name, arguments: text } = call.function;
        return { id, name, arguments: argumentsOf(text, `${param}.tool_calls[${i}].function.arguments`, json) };
      });
      const content = textOf(given.content ?? '') || (given.refusal ?? '');
      const reasoning = [given.reasoning_content, given.reasoning].find(isText);
      const message = {
        role: 'assistant' as const,
        content,
        ...(calls.length > 0 && { toolCalls: calls }),
        ...(reasoning !== undefined && { reasoning }),
      };
      return { param, message, ...(given.audio && content === '' && { spoken: given.audio.id }) };
    }
    case 'user': {
      const { content } = given;
      if (typeof content === 'string') return { param, message: { role: 'user', content } };
      return { param, message: { role: 'user', ...contentOf(content.map(sentPart), param) } };
    }
    default:
      return { param, message: { role: 'system', content: textOf(given.content) } };
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function sentPart(part: z.output<typeof userPart>): SentPart {
  switch (part.type) {
    case 'text':
      return part;
    case 'image_url': {
      // `auto` says nothing: it is the default.
      return { type: 'image', url: part.image_url.url, ...detailOf(part.image_url.detail) };
    }
    case 'input_audio':
      return { type: 'audio', url: audioUrl(part.input_audio) };
    case 'file':
      return { type: 'file', url: part.file.file_data, name: part.file.filename ?? undefined };
    case 'video_url':
      return { type: 'video', url: part.video_url.url };
  }
}

/** Audio comes as bare base64, or as the address of an artifact. */
export const audioUrl = ({ data, format }: { readonly data: string; readonly format: string }): string =>
  data.startsWith('artifact://') ? data : `data:audio/${format};base64,${data}`;

type Content = string | readonly { readonly type: string; readonly text?: string; readonly refusal?: string }[];

const textOf = (content: Content): ChatMessage['content'] =>
  typeof content === 'string' ? content : content.map(({ text, refusal }) => text ?? refusal ?? '').join('');

/**
 * Parses the arguments of a call that the client sends back.
 * @param json of the request: its calls have together no more values than an input may have
 */
export function argumentsOf(text: string, param: string, json: ModestJson): JsonObject {
  json.expect(Buffer.from(text), param);
  try {
    const read: unknown = JSON.parse(text === '' ? '{}' : text);
    if (isJsonObject(read)) return read;
  } catch {
    // reported below
  }
  throw invalidParam(param, 'is not a JSON object');
}

function parametersOf(request: z.output<typeof chatBody>): readonly Parameter[] {
  const { response_format, stop } = request;
  const { tools, choice } = chosen(
    request.tools?.map((tool) => toolOf(tool.type === 'custom' ? functionOf(tool.custom) : tool.function)),
    request.tool_choice,
  );
  if (request.top_logprobs && !request.logprobs) throw invalidParam('top_logprobs', 'requires "logprobs": true');
  if (request.max_tokens && request.max_completion_tokens)
    throw invalidParam('max_tokens', 'is the older name of max_completion_tokens; give one of them');
  return givenParameters([
    ...(['temperature', 'seed', 'max_tokens', 'reasoning_effort', 'verbosity'] as const).map((name) => ({
      param: name,
      name,
      value: request[name],
    })),
    { param: 'user', name: 'user', value: request.user, neutral: true },
    // Of vLLM and llama.cpp: OpenAI's API does not have them.
    { param: 'top_k', name: 'top_k', value: request.top_k },
    { param: 'min_p', name: 'min_p', value: request.min_p, neutral: request.min_p === 0 },
    { param: 'logprobs', name: 'logprobs', value: request.logprobs ? (request.top_logprobs ?? 0) : undefined },
    { param: 'max_completion_tokens', name: 'max_tokens', value: request.max_completion_tokens },
    { param: 'top_p', name: 'top_p', value: request.top_p, neutral: request.top_p === 1 },
    ...(['presence_penalty', 'frequency_penalty'] as const).map((name) => ({
      param: name,
      name,
      value: request[name],
      neutral: request[name] === 0,
    })),
    { param: 'stop', name: 'stop', value: typeof stop === 'string' ? [stop] : stop, neutral: stop?.length === 0 },
    {
      param: 'tools',
      name: 'tools',
      value: tools,
      neutral: tools?.length === 0,
    },
    {
      param: 'tool_choice',
      name: 'tool_choice',
      value: choice,
      neutral: choice === 'auto' || choice === 'none',
    },
    {
      param: 'parallel_tool_calls',
      name: 'parallel_tool_calls',
      value: request.parallel_tool_calls,
      neutral: request.parallel_tool_calls === true || !tools?.length,
    },
    {
      param: 'response_format',
      name: 'response_format',
      value: formatOf(response_format),
    },
  ]);
}

interface GivenTool {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly parameters?: object | null | undefined;
  readonly strict?: boolean | null | undefined;
}

/** A tool in the form of a chat stage. */
export const toolOf = ({ name, description, parameters, strict }: GivenTool) => ({
  name,
  description: description ?? '',
  schema: parameters ?? { type: 'object', properties: {} },
  strict: strict ?? false,
});

function formatOf(format: z.output<typeof chatBody>['response_format']) {
  if (format?.type === 'json_object') return 'json';
  if (format?.type !== 'json_schema') return undefined;
  return outputOf(format.json_schema);
}

interface GivenSchema {
  readonly schema: object;
  /** Tells the model what the answer is for. */
  readonly description?: string | null | undefined;
  readonly strict?: boolean | null | undefined;
}

/** The schema of an answer in the form of a chat stage, which has the description within the schema. */
export const outputOf = ({ schema, description, strict }: GivenSchema) => ({
  schema: description ? { description, ...schema } : schema,
  strict: strict ?? false,
});
