import { z } from 'zod';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { foreignSchema, foreignSchemas } from '../../pipelines/json-schema/index.js';
import { checked } from './body.js';
import { outputOf, toolOf } from './chat-request.js';
import { givenParameters, type Parameter } from './conversation.js';
import { customTool, functionOf, TOOL_TYPES } from './custom-tools.js';
import { invalidParam } from './error-body.js';
import { listOf } from './list-of.js';
import { LOGPROBS } from './logprobs-body.js';
import { type GivenItem, givenItem, LONGEST_ID } from './responses-items.js';
import { chosen, responsesToolChoice } from './tool-choice.js';

/** Limit of OpenAI's. */
const MOST_METADATA = 16;

// Pairs are counted before they are checked: a record is checked to its last one, however many are wrong.
const metadata = z
  .unknown()
  .refine(
    (given) => !isJsonObject(given) || Object.keys(given).length <= MOST_METADATA,
    `must have at most ${MOST_METADATA} pairs`,
  )
  .pipe(z.record(z.string().max(64), z.string().max(512)));
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
    [z.string(), listOf(givenItem, { min: 1 })],
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
  include: listOf(
    z.string().refine((name) => INCLUDABLE.has(name), 'is not known, or not available from pipelines'),
  ).nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: withMetadata,
});
type Body = z.output<typeof responsesBody>;

/** Unsupported parameters, with a check for values that have no effect. */
const NEUTRAL: Readonly<Record<string, (value: Json) => boolean>> = {
  stream_options: (value) => isJsonObject(value),
};
const HARMLESS: readonly string[] = [
  'safety_identifier',
  'service_tier',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
];

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
