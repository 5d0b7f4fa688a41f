import { z } from 'zod';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { foreignSchema, foreignSchemas } from '../../pipelines/json-schema/index.js';
import type { ChatMessage } from '../../pipelines/stages/index.js';
import { ModestJson } from '../input/json-size.js';
import { checked } from './body.js';
import { argumentsOf, audioUrl, outputOf, toolOf } from './chat-request.js';
import { givenParameters, type Parameter, type Turn } from './conversation.js';
import { argumentsOfInput, customTool, functionOf, TOOL_TYPES } from './custom-tools.js';
import { invalidParam } from './error-body.js';
import { listOf } from './list-of.js';
import { LOGPROBS } from './logprobs-body.js';
import { LONGEST_SEALED } from './sealed-reasoning.js';
import { contentOf, detailOf, imageDetail, type SentPart } from './sent-parts.js';
import { chosen, responsesToolChoice } from './tool-choice.js';

/** Limits of OpenAI's. */
const MOST_METADATA = 16;
/** Most items that are added to a conversation at once. */
const MOST_ITEMS = 20;
const LONGEST_ID = 300;

const textPart = z.object({ type: z.enum(['input_text', 'output_text']), text: z.string() });
const imagePart = z.object({ type: z.literal('input_image'), image_url: z.string(), detail: imageDetail.nullish() });
const filePart = z
  .object({
    type: z.literal('input_file'),
    file_data: z.string().nullish(),
    filename: z.string().min(1).max(255).nullish(),
    file_id: z.null('is not supported: files are not kept under ids here; send file_data').optional(),
    file_url: z.string().nullish(),
  })
  .refine(({ file_data: data, file_url: url }) => (typeof data === 'string') !== (typeof url === 'string'), {
    path: ['file_data'],
    message: 'is required, or file_url in its place',
  });
const audioPart = z.object({
  type: z.literal('input_audio'),
  input_audio: z.object({ data: z.string(), format: z.string().regex(/^[a-z0-9]{1,16}$/) }),
});
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });

const part = z.discriminatedUnion('type', [textPart, imagePart, filePart, audioPart, refusalPart]);

const message = z.object({
  type: z.literal('message').optional(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), listOf(part)]),
});
const functionCall = z.object({
  type: z.literal('function_call'),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});
const callOutput = { call_id: z.string(), output: z.union([z.string(), listOf(textPart)]) };
const functionOutput = z.object({ type: z.literal('function_call_output'), ...callOutput });
const customOutput = z.object({ type: z.literal('custom_tool_call_output'), ...callOutput });
const customCall = z.object({
  type: z.literal('custom_tool_call'),
  call_id: z.string(),
  name: z.string(),
  input: z.string(),
});
/** A call that the run of an earlier response has executed, sent back by the client. */
const executedCall = z.object({
  type: z.literal('mcp_call'),
  id: z.string(),
  name: z.string(),
  arguments: z.string(),
  output: z.string().nullish(),
  error: z.string().nullish(),
});
/** What a model has thought: `content` says it, `encrypted_content` where the client is to keep it unread. */
const reasoning = z.object({
  type: z.literal('reasoning'),
  id: z.string().optional(),
  summary: listOf(z.object({ type: z.literal('summary_text'), text: z.string() })).nullish(),
  content: listOf(z.object({ type: z.literal('reasoning_text'), text: z.string() })).nullish(),
  encrypted_content: z.string().max(LONGEST_SEALED).nullish(),
});
/** An item of an earlier response or of a conversation. */
const reference = z.object({ type: z.literal('item_reference'), id: z.string().min(1).max(LONGEST_ID) });
const untyped = reference.extend({ type: z.undefined().optional() });
// By their types, since a union tries each alternative with each of thousands of items.
export const item = z.discriminatedUnion('type', [
  message,
  functionCall,
  functionOutput,
  customCall,
  customOutput,
  executedCall,
  reasoning,
]);
export type Item = z.output<typeof item>;
const given = z.union([z.discriminatedUnion('type', [...item.options, reference]), untyped]);
export type GivenItem = z.output<typeof given>;
/** Of items that a conversation takes. */
export const items = listOf(item, { max: MOST_ITEMS });

const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= MOST_METADATA, `must have at most ${MOST_METADATA} pairs`);
export const withMetadata = metadata.nullish();

const OUTPUT_LOGPROBS = 'message.output_text.logprobs';
const SEALED_REASONING = 'reasoning.encrypted_content';
/** What `include` may name. All but the first two are parts of items that a pipeline's response does not have: there is nothing to add. */
const INCLUDABLE: ReadonlySet<string> = new Set([
  OUTPUT_LOGPROBS,
  SEALED_REASONING,
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
  'message.input_image.image_url',
]);

const responsesBody = z.object({
  model: z.string(),
  input: z.union(
    [z.string(), listOf(given, { min: 1 })],
    'must be a string, or a list of messages, function calls and their outputs',
  ),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  tools: listOf(
    z.discriminatedUnion(
      'type',
      [
        z.object({
          type: z.literal('function'),
          name: z.string(),
          description: z.string().nullish(),
          parameters: z.looseObject({}).nullish(),
          strict: z.boolean().nullish(),
        }),
        customTool.extend({ type: z.literal('custom') }),
      ],
      TOOL_TYPES,
    ),
  )
    .superRefine(foreignSchemas('parameters'))
    .nullish(),
  tool_choice: responsesToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z
    .object({
      format: z
        .discriminatedUnion('type', [
          z.object({ type: z.literal('text') }),
          z.object({ type: z.literal('json_object') }),
          z.object({
            type: z.literal('json_schema'),
            name: z.string().optional(),
            description: z.string().nullish(),
            schema: foreignSchema,
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
      verbosity: z.string().nullish(),
    })
    .nullish(),
  reasoning: z.object({ effort: z.string().nullish(), summary: z.string().nullish() }).nullish(),
  user: z.string().nullish(),
  background: z.boolean().nullish(),
  store: z.boolean().nullish(),
  previous_response_id: z.string().min(1).max(LONGEST_ID).nullish(),
  conversation: z
    .union([z.string().min(1).max(LONGEST_ID), z.object({ id: z.string().min(1).max(LONGEST_ID) })])
    .nullish(),
  include: z
    .array(z.string().refine((name) => INCLUDABLE.has(name), 'is not known, or not available from pipelines'))
    .nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: withMetadata,
});
type Body = z.output<typeof responsesBody>;

/** Unsupported parameters, with a check for values that have no effect. */
const NEUTRAL: Readonly<Record<string, (value: Json) => boolean>> = {
  stream_options: (value) => isJsonObject(value),
};
const HARMLESS: readonly string[] = ['safety_identifier', 'service_tier', 'prompt_cache_key', 'prompt_cache_retention'];

export interface ResponsesRequest {
  readonly model: string;
  readonly stream: boolean;
  /** What the caller gives in this request: its items, after the instructions. */
  readonly items: readonly GivenItem[];
  readonly parameters: readonly Parameter[];
  /** Parameters that the response repeats; those kept with its run. */
  readonly echo: Pick<
    Body,
    | 'parallel_tool_calls'
    | 'instructions'
    | 'temperature'
    | 'top_p'
    | 'max_output_tokens'
    | 'tools'
    | 'tool_choice'
    | 'text'
    | 'reasoning'
    | 'background'
    | 'store'
    | 'previous_response_id'
    | 'truncation'
    | 'metadata'
    | 'top_logprobs'
  > & {
    readonly conversation?: { readonly id: string } | undefined;
    /** Reasoning items have `encrypted_content`. */
    readonly sealed_reasoning?: true;
  };
}

/** Reads the body of `POST /v1/responses`. Throws `INVALID_INPUT` with the parameter. */
export function readResponsesRequest(given: Json): ResponsesRequest {
  const request = checked(responsesBody, given, { neutral: NEUTRAL, harmless: HARMLESS });
  const { model, stream, input, conversation, previous_response_id: previous } = request;
  const named = typeof conversation === 'string' ? { id: conversation } : conversation;
  if (named && previous)
    throw invalidParam('conversation', 'names the turns before, as previous_response_id does; give one of them');
  if (named && request.store === false)
    throw invalidParam('store', 'must be true with a conversation, which reads what was said from its responses');
  if (request.background && request.store === false)
    throw invalidParam('background', 'requires "store": true: the response is fetched later');
  const logprobs = logprobsWanted(request);
  return {
    model,
    stream: stream ?? false,
    items: typeof input === 'string' ? [{ role: 'user', content: input }] : input,
    parameters: parametersOf(request),
    echo: {
      parallel_tool_calls: request.parallel_tool_calls,
      instructions: request.instructions,
      temperature: request.temperature,
      top_p: request.top_p,
      max_output_tokens: request.max_output_tokens,
      tools: request.tools,
      tool_choice: request.tool_choice,
      text: request.text,
      reasoning: request.reasoning,
      background: request.background,
      store: request.store,
      previous_response_id: previous,
      truncation: request.truncation,
      metadata: request.metadata,
      ...(logprobs !== undefined && { top_logprobs: logprobs }),
      ...(named && { conversation: { id: named.id } }),
      ...(request.include?.includes(SEALED_REASONING) && { sealed_reasoning: true as const }),
    },
  };
}

/** Of how many alternatives of each token the probabilities are wanted; undefined: of no token. */
function logprobsWanted({ include, top_logprobs: top }: Body): number | undefined {
  if (include?.includes(OUTPUT_LOGPROBS)) return top ?? 0;
  if (top) throw invalidParam('top_logprobs', `requires "${OUTPUT_LOGPROBS}" in include`);
  return undefined;
}

/** Whether an item refers to one that the gateway knows. */
export const isReference = (each: GivenItem): each is z.output<typeof reference | typeof untyped> =>
  !('role' in each) && (each.type === undefined || each.type === 'item_reference');

/** The text of a reasoning item; empty for one whose content only its server can read. */
const thoughtIn = ({ content }: z.output<typeof reasoning>): string =>
  (content ?? []).map(({ text }) => text).join('\n\n');

/**
 * Consecutive calls and the message before them are one turn of the assistant, with the reasoning before it.
 * @param paramOf the place in the request of the i-th item
 */
export function turnsOf(items: readonly Item[], paramOf: (i: number) => string): Turn[] {
  const turns: Turn[] = [];
  const json = new ModestJson();
  /** Calls of the last turn that were added here. */
  let callsOfLast: NonNullable<ChatMessage['toolCalls']>[number][] | undefined;
  /** Joined once: a request may have thousands of reasoning items in a row. */
  let thoughts: string[] = [];
  /** The reasoning before a message of the assistant. That of a turn without one has no place. */
  const taken = (): Pick<ChatMessage, 'reasoning'> => {
    if (thoughts.length === 0) return {};
    const reasoning = thoughts.join('\n\n');
    thoughts = [];
    return { reasoning };
  };
  for (const [i, each] of items.entries()) {
    const param = paramOf(i);
    if (each.type === 'reasoning') {
      const thought = thoughtIn(each);
      if (thought !== '') thoughts.push(thought);
      continue;
    }
    if (each.type === 'function_call' || each.type === 'mcp_call' || each.type === 'custom_tool_call') {
      const id = each.type === 'mcp_call' ? each.id : each.call_id;
      const given =
        each.type === 'custom_tool_call'
          ? argumentsOfInput(each.input)
          : argumentsOf(each.arguments, `${param}.arguments`, json);
      const call = { id, name: each.name, arguments: given };
      const last = turns.at(-1);
      if (last?.message.role === 'assistant' && each.type !== 'mcp_call' && thoughts.length === 0) {
        // Copied once for each turn: a request may have thousands of calls in a row.
        if (callsOfLast === undefined) {
          const { message: said } = last;
          callsOfLast = [...(said.toolCalls ?? [])];
          turns[turns.length - 1] = { ...last, message: { ...said, toolCalls: callsOfLast } };
        }
        callsOfLast.push(call);
      } else {
        callsOfLast = undefined;
        turns.push({ param, message: { role: 'assistant', content: '', toolCalls: [call], ...taken() } });
      }
      if (each.type === 'mcp_call') {
        const content = each.output ?? `Error ${each.error ?? ''}`;
        turns.push({ param, message: { role: 'tool', content, toolCallId: id } });
      }
    } else if (each.type === 'function_call_output' || each.type === 'custom_tool_call_output') {
      callsOfLast = undefined;
      taken();
      turns.push({ param, message: { role: 'tool', content: textOf(each.output), toolCallId: each.call_id } });
    } else {
      callsOfLast = undefined;
      const turn = messageTurn(each, param);
      const before = taken();
      turns.push(each.role === 'assistant' ? { ...turn, message: { ...turn.message, ...before } } : turn);
    }
  }
  return turns;
}

function messageTurn({ role, content }: z.output<typeof message>, param: string): Turn {
  const said = typeof content === 'string' ? { content } : contentOf(content.map(sentPart), param);
  return { param, message: { role: role === 'developer' ? 'system' : role, ...said } };
}

function sentPart(sent: z.output<typeof part>): SentPart {
  switch (sent.type) {
    case 'input_image':
      return { type: 'image', url: sent.image_url, ...detailOf(sent.detail) };
    case 'input_file':
      return { type: 'file', url: sent.file_data ?? sent.file_url ?? '', name: sent.filename ?? undefined };
    case 'input_audio':
      return { type: 'audio', url: audioUrl(sent.input_audio) };
    case 'refusal':
      return { type: 'text', text: sent.refusal };
    default:
      return { type: 'text', text: sent.text };
  }
}

type Content = string | readonly { readonly type: string; readonly text?: string; readonly refusal?: string }[];
const textOf = (content: Content): string =>
  typeof content === 'string' ? content : content.map(({ text, refusal }) => text ?? refusal ?? '').join('');

function parametersOf(request: Body): readonly Parameter[] {
  const { parallel_tool_calls, text, temperature, top_p, max_output_tokens, reasoning } = request;
  const offered = request.tools?.map((tool) => toolOf(tool.type === 'custom' ? functionOf(tool) : tool));
  const { tools, choice } = chosen(offered, request.tool_choice);
  return givenParameters([
    { param: 'temperature', name: 'temperature', value: temperature },
    { param: 'top_p', name: 'top_p', value: top_p, neutral: top_p === 1 },
    { param: 'max_output_tokens', name: 'max_tokens', value: max_output_tokens },
    { param: 'tools', name: 'tools', value: tools, neutral: tools?.length === 0 },
    {
      param: 'tool_choice',
      name: 'tool_choice',
      value: choice,
      neutral: choice === 'auto' || choice === 'none',
    },
    {
      param: 'parallel_tool_calls',
      name: 'parallel_tool_calls',
      value: parallel_tool_calls,
      neutral: parallel_tool_calls === true || !tools?.length,
    },
    { param: 'text.format', name: 'response_format', value: formatOf(text?.format) },
    { param: 'text.verbosity', name: 'verbosity', value: text?.verbosity },
    { param: 'reasoning', name: 'reasoning_effort', value: reasoning?.effort },
    { param: 'user', name: 'user', value: request.user, neutral: true },
    { param: 'include', name: LOGPROBS, value: logprobsWanted(request) },
  ]);
}

function formatOf(format: NonNullable<Body['text']>['format']) {
  if (format?.type === 'json_object') return 'json';
  return format?.type === 'json_schema' ? outputOf(format) : undefined;
}
