import { z } from 'zod';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { foreignSchema, foreignSchemas } from '../../pipelines/json-schema/index.js';
import { checked } from '../openai/body.js';
import { toolOf } from '../openai/chat-request.js';
import { type Conversation, givenParameters, type Parameter } from '../openai/conversation.js';
import { listOf } from '../openai/list-of.js';
import { message, textOf, texts, turnsOf } from './blocks.js';

const body = z.object({
  model: z.string(),
  max_tokens: z.int().min(1),
  messages: listOf(message, { min: 1 }),
  system: texts.optional(),
  stream: z.boolean().optional(),
  temperature: z.number().min(0).max(1).optional(),
  top_p: z.number().min(0).max(1).optional(),
  top_k: z.int().min(1).optional(),
  stop_sequences: listOf(z.string(), { max: 16 }).optional(),
  tools: listOf(
    z.object({
      type: z.literal('custom', 'must be "custom" or absent: no tool of Anthropic’s servers is offered').nullish(),
      name: z.string(),
      description: z.string().optional(),
      input_schema: z.looseObject({}),
      strict: z.boolean().optional(),
    }),
  )
    .superRefine(foreignSchemas('input_schema'))
    .optional(),
  tool_choice: z
    .discriminatedUnion('type', [
      z.object({ type: z.enum(['auto', 'any', 'none']), disable_parallel_tool_use: z.boolean().optional() }),
      z.object({ type: z.literal('tool'), name: z.string(), disable_parallel_tool_use: z.boolean().optional() }),
    ])
    .optional(),
  metadata: z.looseObject({ user_id: z.string().nullish() }).nullish(),
  output_config: z
    .object({
      effort: z.string().nullish(),
      format: z.object({ type: z.literal('json_schema'), schema: foreignSchema }).nullish(),
    })
    .optional(),
  thinking: z.looseObject({ type: z.literal('disabled', 'is not supported: use output_config.effort') }).optional(),
});

/** Parameters for the caller's own records, or without effect on the answer. */
const HARMLESS = ['service_tier', 'cache_control', 'inference_geo', 'diagnostics', 'user_profile_id', 'workspace_id'];
/** Unsupported parameters, with a check for values that have no effect. */
const NEUTRAL: Readonly<Record<string, (value: Json) => boolean>> = { speed: (value) => value === 'standard' };

export interface MessagesRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly conversation: Conversation;
}

/** Reads the body of `POST /v1/messages`. Throws `INVALID_INPUT` with the parameter. */
export function readMessagesRequest(given: Json): MessagesRequest {
  const request = checked(body, given, { neutral: NEUTRAL, harmless: HARMLESS });
  const { model, stream = false, system, messages } = request;
  const said =
    system === undefined ? [] : [{ param: 'system', message: { role: 'system' as const, content: textOf(system) } }];
  return {
    model,
    stream,
    conversation: {
      about: 'messages',
      turns: [...said, ...messages.flatMap((each, i) => turnsOf(each, `messages[${i}]`))],
      parameters: parametersOf(request),
    },
  };
}

function parametersOf(request: z.output<typeof body>): readonly Parameter[] {
  const { tools, tool_choice: choice, output_config: config } = request;
  const format = config?.format;
  return givenParameters([
    // The protocol requires it, so a pipeline without this field gets requests that have it.
    { param: 'max_tokens', name: 'max_tokens', value: request.max_tokens, neutral: true },
    { param: 'temperature', name: 'temperature', value: request.temperature, neutral: request.temperature === 1 },
    { param: 'top_p', name: 'top_p', value: request.top_p, neutral: request.top_p === 1 },
    { param: 'top_k', name: 'top_k', value: request.top_k },
    { param: 'stop_sequences', name: 'stop', value: request.stop_sequences, neutral: !request.stop_sequences?.length },
    {
      param: 'tools',
      name: 'tools',
      value: tools?.map(({ input_schema, ...tool }) => toolOf({ ...tool, parameters: input_schema as JsonObject })),
      neutral: !tools?.length,
    },
    {
      param: 'tool_choice',
      name: 'tool_choice',
      value: choice && choiceOf(choice),
      neutral: choice?.type === 'auto' || choice?.type === 'none',
    },
    {
      param: 'tool_choice.disable_parallel_tool_use',
      name: 'parallel_tool_calls',
      value: choice?.disable_parallel_tool_use && tools?.length ? false : undefined,
    },
    { param: 'metadata.user_id', name: 'user', value: request.metadata?.user_id, neutral: true },
    { param: 'output_config.effort', name: 'reasoning_effort', value: config?.effort },
    {
      param: 'output_config.format',
      name: 'response_format',
      value: format && { schema: format.schema, strict: true },
    },
  ]);
}

const choiceOf = (choice: NonNullable<z.output<typeof body>['tool_choice']>) =>
  choice.type === 'tool' ? { name: choice.name } : choice.type === 'any' ? 'required' : choice.type;
