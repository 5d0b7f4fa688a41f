import { z } from 'zod';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { foreignSchema, foreignSchemas } from '../../pipelines/json-schema/index.js';
import { checked } from './body.js';
import { argumentsOf, toolOf } from './chat-request.js';
import type { Conversation, Parameter, Turn } from './conversation.js';

const textPart = z.object({ type: z.enum(['input_text', 'output_text']), text: z.string() });
const imagePart = z.object({ type: z.literal('input_image'), image_url: z.string(), detail: z.string().nullish() });
const refusalPart = z.object({ type: z.literal('refusal'), refusal: z.string() });

const message = z.object({
  type: z.literal('message').optional(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), z.array(z.discriminatedUnion('type', [textPart, imagePart, refusalPart]))]),
});
const functionCall = z.object({
  type: z.literal('function_call'),
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
});
const functionOutput = z.object({
  type: z.literal('function_call_output'),
  call_id: z.string(),
  output: z.union([z.string(), z.array(textPart)]),
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
const item = z.union([message, functionCall, functionOutput, executedCall]);
type Item = z.output<typeof item>;

const responsesBody = z.object({
  model: z.string(),
  input: z.union(
    [z.string(), z.array(item).min(1)],
    'must be a string, or a list of messages, function calls and their outputs',
  ),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal('function', 'must be "function": no other tool is offered to a pipeline'),
        name: z.string(),
        description: z.string().nullish(),
        parameters: z.looseObject({}).nullish(),
        strict: z.boolean().nullish(),
      }),
    )
    .superRefine(foreignSchemas('parameters'))
    .nullish(),
  tool_choice: z
    .union([z.enum(['auto', 'none', 'required']), z.object({ type: z.literal('function'), name: z.string() })])
    .nullish(),
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
            schema: foreignSchema,
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
      verbosity: z.string().nullish(),
    })
    .nullish(),
  reasoning: z.object({ effort: z.string().nullish() }).nullish(),
});
type Body = z.output<typeof responsesBody>;

/** Unsupported parameters, with a check for values that have no effect. Responses are not stored. */
const NEUTRAL: Readonly<Record<string, (value: Json) => boolean>> = {
  background: (value) => value === false,
  truncation: (value) => value === 'disabled',
  include: (value) => Array.isArray(value) && value.length === 0,
  top_logprobs: (value) => value === 0,
  stream_options: (value) => isJsonObject(value),
};
const HARMLESS: readonly string[] = [
  'user',
  'safety_identifier',
  'metadata',
  'store',
  'service_tier',
  'prompt_cache_key',
  'prompt_cache_retention',
];

export interface ResponsesRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly conversation: Conversation;
  /** Parameters that the response repeats. */
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
  >;
}

/** Reads the body of `POST /v1/responses`. Throws `INVALID_INPUT` with the parameter. */
export function readResponsesRequest(given: Json): ResponsesRequest {
  const request = checked(responsesBody, given, { neutral: NEUTRAL, harmless: HARMLESS });
  const { model, stream, input, instructions, temperature, top_p, max_output_tokens, tools, tool_choice, text } =
    request;
  const system: Turn[] = instructions
    ? [{ param: 'instructions', message: { role: 'system', content: instructions } }]
    : [];
  const turns: Turn[] =
    typeof input === 'string' ? [{ param: 'input', message: { role: 'user', content: input } }] : turnsOf(input);
  return {
    model,
    stream: stream ?? false,
    conversation: { about: 'input', turns: [...system, ...turns], parameters: parametersOf(request) },
    echo: {
      parallel_tool_calls: request.parallel_tool_calls,
      instructions,
      temperature,
      top_p,
      max_output_tokens,
      tools,
      tool_choice,
      text,
    },
  };
}

/** Consecutive calls and the message before them are one turn of the assistant. */
function turnsOf(items: readonly Item[]): Turn[] {
  const turns: Turn[] = [];
  for (const [i, each] of items.entries()) {
    const param = `input[${i}]`;
    if (each.type === 'function_call' || each.type === 'mcp_call') {
      const id = each.type === 'mcp_call' ? each.id : each.call_id;
      const call = { id, name: each.name, arguments: argumentsOf(each.arguments, `${param}.arguments`) };
      const last = turns.at(-1);
      if (last?.message.role === 'assistant' && each.type === 'function_call') {
        const { message: said } = last;
        turns[turns.length - 1] = { ...last, message: { ...said, toolCalls: [...(said.toolCalls ?? []), call] } };
      } else turns.push({ param, message: { role: 'assistant', content: '', toolCalls: [call] } });
      if (each.type === 'mcp_call') {
        const content = each.output ?? `Error ${each.error ?? ''}`;
        turns.push({ param, message: { role: 'tool', content, toolCallId: id } });
      }
    } else if (each.type === 'function_call_output') {
      turns.push({ param, message: { role: 'tool', content: textOf(each.output), toolCallId: each.call_id } });
    } else turns.push(messageTurn(each, param));
  }
  return turns;
}

function messageTurn({ role, content }: z.output<typeof message>, param: string): Turn {
  const images = (typeof content === 'string' ? [] : content).flatMap((part) =>
    part.type === 'input_image' ? [part.image_url] : [],
  );
  return {
    param,
    message: { role: role === 'developer' ? 'system' : role, content: textOf(content) },
    ...(images.length > 0 && { images }),
  };
}

type Content = string | readonly { readonly type: string; readonly text?: string; readonly refusal?: string }[];
const textOf = (content: Content): string =>
  typeof content === 'string' ? content : content.map(({ text, refusal }) => text ?? refusal ?? '').join('');

function parametersOf(request: Body): Parameter[] {
  const { tools, tool_choice, parallel_tool_calls, text, temperature, top_p, max_output_tokens, reasoning } = request;
  const given: (Omit<Parameter, 'value'> & { readonly value: unknown })[] = [
    { param: 'temperature', name: 'temperature', value: temperature },
    { param: 'top_p', name: 'top_p', value: top_p, neutral: top_p === 1 },
    { param: 'max_output_tokens', name: 'max_tokens', value: max_output_tokens },
    { param: 'tools', name: 'tools', value: tools?.map(toolOf), neutral: tools?.length === 0 },
    {
      param: 'tool_choice',
      name: 'tool_choice',
      value: typeof tool_choice === 'object' && tool_choice ? { name: tool_choice.name } : tool_choice,
      neutral: tool_choice === 'auto' || tool_choice === 'none',
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
  ];
  return given.filter(({ value }) => value !== undefined && value !== null) as Parameter[];
}

function formatOf(format: NonNullable<Body['text']>['format']) {
  if (format?.type === 'json_object') return 'json';
  return format?.type === 'json_schema' ? { schema: format.schema, strict: format.strict ?? false } : undefined;
}
