import { z } from 'zod';
import type { JsonObject } from '../../pipelines/json.js';
import type { Turn } from '../openai/conversation.js';
import { listOf } from '../openai/list-of.js';
import { contentOf, type SentPart } from '../openai/sent-parts.js';

const textBlock = z.object({ type: z.literal('text'), text: z.string() });
const imageBlock = z.object({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.object({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
    z.object({ type: z.literal('url'), url: z.string() }),
  ]),
});
const documentBlock = z.object({
  type: z.literal('document'),
  source: z.discriminatedUnion('type', [
    z.object({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
    z.object({ type: z.literal('text'), media_type: z.string(), data: z.string() }),
    z.object({ type: z.literal('url'), url: z.string() }),
  ]),
  title: z.string().min(1).max(255).nullish(),
  context: z.string().nullish(),
  citations: z.object({ enabled: z.literal(false, 'are not supported; leave them out').optional() }).nullish(),
});
const toolUse = z.object({
  type: z.literal('tool_use'),
  id: z.string(),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
});
const toolResult = z.object({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: z.union([z.string(), listOf(z.discriminatedUnion('type', [textBlock, imageBlock]))]).optional(),
  is_error: z.boolean().optional(),
});
/** A model's thoughts that a client sends back: they are for the model that had them. */
const thoughts = z.looseObject({ type: z.enum(['thinking', 'redacted_thinking']) });

export const texts = z.union([z.string(), listOf(textBlock)]);

export const message = z.discriminatedUnion('role', [
  z.object({
    role: z.literal('user'),
    content: z.union([
      z.string(),
      listOf(z.discriminatedUnion('type', [textBlock, imageBlock, documentBlock, toolResult])),
    ]),
  }),
  z.object({
    role: z.literal('assistant'),
    content: z.union([z.string(), listOf(z.discriminatedUnion('type', [textBlock, toolUse, thoughts]))]),
  }),
  z.object({ role: z.literal('system'), content: texts }),
]);

type Message = z.output<typeof message>;

/** The turns of a message: the results of tools are turns of their own, before what the user says with them. */
export function turnsOf(given: Message, param: string): Turn[] {
  const { role, content } = given;
  if (typeof content === 'string') return [{ param, message: { role, content } }];
  if (role === 'system') return [{ param, message: { role, content: textOf(content) } }];
  if (role === 'assistant') {
    const calls = content.flatMap((block) =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, arguments: block.input as JsonObject }] : [],
    );
    const said = { role, content: textOf(content) };
    return [{ param, message: { ...said, ...(calls.length > 0 && { toolCalls: calls }) } }];
  }
  const results = content.flatMap((block, i) =>
    block.type === 'tool_result' ? [resultTurn(block, `${param}.content[${i}]`)] : [],
  );
  const own = content.filter((block) => block.type !== 'tool_result');
  if (own.length === 0 && results.length > 0) return results;
  return [...results, { param, message: { role, ...contentOf(own.flatMap(sentParts), param) } }];
}

function resultTurn({ tool_use_id, content = '', is_error }: z.output<typeof toolResult>, param: string): Turn {
  const said = typeof content === 'string' ? { content } : contentOf(content.flatMap(sentParts), param);
  const text = is_error ? `Error: ${said.content}` : said.content;
  return { param, message: { role: 'tool', ...said, content: text, toolCallId: tool_use_id } };
}

type UserBlock = z.output<typeof textBlock> | z.output<typeof imageBlock> | z.output<typeof documentBlock>;

/** What is said about a document is a text before it. */
function sentParts(block: UserBlock): SentPart[] {
  if (block.type === 'text') return [block];
  const part: SentPart = {
    type: block.type === 'image' ? 'image' : 'file',
    url: urlOf(block.source),
    ...nameOf(block),
  };
  return block.type === 'document' && block.context ? [{ type: 'text', text: block.context }, part] : [part];
}

const nameOf = (block: UserBlock) => (block.type === 'document' && block.title ? { name: block.title } : {});

/** Other addresses than data URLs and artifacts are rejected where parts are read. */
function urlOf(source: z.output<typeof documentBlock>['source']): string {
  if (source.type === 'url') return source.url;
  const data = source.type === 'text' ? Buffer.from(source.data, 'utf8').toString('base64') : source.data;
  return `data:${source.media_type};base64,${data}`;
}

export const textOf = (content: string | readonly { readonly type: string; readonly text?: unknown }[]): string =>
  typeof content === 'string'
    ? content
    : content.map(({ type, text }) => (type === 'text' && typeof text === 'string' ? text : '')).join('');
