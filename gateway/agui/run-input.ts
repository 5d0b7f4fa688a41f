import { z } from 'zod';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';
import { foreignSchemas } from '../../pipelines/json-schema/index.js';
import { expectModest } from '../input/input-size.js';
import { ModestJson } from '../input/json-size.js';
import { closestOf } from '../openai/body.js';
import { argumentsOf, toolOf } from '../openai/chat-request.js';
import type { Conversation, Turn } from '../openai/conversation.js';
import { invalidParam } from '../openai/error-body.js';
import { listOf } from '../openai/list-of.js';
import { contentOf, kindOf, type SentPart } from '../openai/sent-parts.js';

const part = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('text'), text: z.string() }),
    z.object({
      type: z.enum(['image', 'audio', 'video', 'document']),
      source: z.object({ type: z.enum(['data', 'url']), value: z.string(), mimeType: z.string().optional() }),
    }),
    // Of versions before 1.0, whose clients still send it.
    z.object({
      type: z.literal('binary'),
      mimeType: z.string(),
      data: z.string().nullish(),
      url: z.string().nullish(),
      filename: z.string().max(255).nullish(),
    }),
  ],
  'must be text, an image, audio, a video or a document',
);
const content = z.union([z.string(), listOf(part)]);

const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content: z.string() }),
  z.object({ role: z.literal('user'), content }),
  z.object({
    role: z.literal('assistant'),
    content: z.string().nullish(),
    toolCalls: listOf(
      z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) }),
    ).nullish(),
  }),
  z.object({ role: z.literal('tool'), content, toolCallId: z.string() }),
  // Shown by the client, not said.
  z.looseObject({ role: z.enum(['activity', 'reasoning']) }),
]);

/** Most interrupts that one request answers: each is a call to Temporal. A run rarely waits for more than a few. */
const MOST_ANSWERS = 64;

const runInput = z.looseObject({
  threadId: z.string().min(1).max(256),
  runId: z.string().min(1).max(256),
  state: z.unknown().optional(),
  messages: listOf(message),
  tools: listOf(
    z.object({ name: z.string(), description: z.string().optional(), parameters: z.looseObject({}).nullish() }),
  )
    .superRefine(foreignSchemas('parameters'))
    .default([]),
  context: listOf(z.object({ description: z.string(), value: z.string() })).default([]),
  resume: listOf(
    z.object({ interruptId: z.string(), status: z.enum(['resolved', 'cancelled']), payload: z.unknown().optional() }),
    { max: MOST_ANSWERS },
  ).default([]),
});

export type RunInput = z.output<typeof runInput>;

/** Reads a run's input in AG-UI's form. Throws `INVALID_INPUT` naming the fields. */
export function readRunInput(body: Json): RunInput {
  expectModest(body, 'body');
  const { data, error } = runInput.safeParse(body);
  if (!error) return data;
  throw invalidFields(
    'INVALID_INPUT',
    error.issues.map(closestOf).map(({ path, message }) => ({ field: path.join('.') || 'body', message })),
  );
}

/** The conversation: the context that the client gives with a run is said by the system. */
export function conversationOf({ messages, tools, context }: RunInput): Conversation {
  const about = context.map(({ description, value }) => `${description}: ${value}`).join('\n');
  const json = new ModestJson();
  const said = messages.flatMap((each, i) => turnOf(each, `messages[${i}]`, json));
  return {
    about: 'messages',
    turns: about === '' ? said : [{ param: 'context', message: { role: 'system', content: about } }, ...said],
    parameters: [
      {
        param: 'tools',
        name: 'tools',
        value: tools.map((tool) => toolOf(tool)) as unknown as Json,
        neutral: tools.length === 0,
      },
    ].filter(({ neutral }) => !neutral),
  };
}

function turnOf(given: z.output<typeof message>, param: string, json: ModestJson): Turn[] {
  switch (given.role) {
    case 'activity':
    case 'reasoning':
      return [];
    case 'tool':
      return [
        { param, message: { role: 'tool', content: textOf(given.content, param), toolCallId: given.toolCallId } },
      ];
    case 'assistant': {
      const calls = (given.toolCalls ?? []).map(({ id, function: { name, arguments: text } }, i) => ({
        id,
        name,
        arguments: argumentsOf(text, `${param}.toolCalls[${i}].function.arguments`, json),
      }));
      const spoken = { role: 'assistant' as const, content: given.content ?? '' };
      return [{ param, message: { ...spoken, ...(calls.length > 0 && { toolCalls: calls }) } }];
    }
    case 'user': {
      const { content: said } = given;
      if (typeof said === 'string') return [{ param, message: { role: 'user', content: said } }];
      const sent = said.map((each) => sentPart(each, param));
      return [{ param, message: { role: 'user', ...contentOf(sent, param) } }];
    }
    default:
      return [{ param, message: { role: 'system', content: given.content } }];
  }
}

/** The text of a tool's result. Throws `INVALID_INPUT` for media, which models do not take there. */
function textOf(given: z.output<typeof content>, param: string): string {
  if (typeof given === 'string') return given;
  if (given.some(({ type }) => type !== 'text'))
    throw invalidParam(param, 'media in the result of a tool are not supported; send them as the user');
  return given.map((each) => (each.type === 'text' ? each.text : '')).join('');
}

function sentPart(each: z.output<typeof part>, param: string): SentPart {
  if (each.type === 'text') return each;
  if (each.type === 'binary') return fileOf(each, param);
  return { type: each.type === 'document' ? 'file' : each.type, url: urlOf(each.source, param) };
}

/** A file is an image, audio or a video by its type. */
function fileOf(
  { mimeType, data, url, filename }: Extract<z.output<typeof part>, { type: 'binary' }>,
  param: string,
): SentPart {
  const mime = mimeType.toLowerCase();
  const address = data ? `data:${mime};base64,${data}` : url;
  if (!address) throw invalidParam(param, 'a binary part needs data or a url: files are not kept under ids here');
  const type = kindOf(mime);
  return { type, url: address, ...(type === 'file' && filename && { name: filename }) };
}

function urlOf(
  { type, value, mimeType }: { type: string; value: string; mimeType?: string | undefined },
  param: string,
) {
  if (type === 'url') return value;
  if (mimeType === undefined) throw invalidParam(param, 'data need a mimeType');
  return `data:${mimeType};base64,${value}`;
}
