import type { OpenAI } from 'openai';
import type { Artifact } from '../../../pipelines/artifact.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { AgentMessage } from '../../../pipelines/plan/index.js';
import type { ContentPart } from '../../../pipelines/stages/index.js';
import { type Located, type MediaContext, type OpenAiPart, openAiParts } from './content-parts.js';
import type { OpenAiOptions } from './options.js';

/** The conversation: system message, earlier turns, then the prompt, each with its media, if any. */
export async function messagesOf(
  system: string | undefined,
  input: JsonObject,
  context: MediaContext,
  reasoningIn?: OpenAiOptions['reasoningInHistory'],
): Promise<OpenAI.ChatCompletionMessageParam[]> {
  const {
    prompt,
    history = [],
    images = [],
    parts = [],
  } = input as unknown as {
    readonly prompt?: string;
    readonly history?: readonly AgentMessage[];
    readonly images?: readonly Artifact[];
    readonly parts?: readonly ContentPart[];
  };
  const said: Said[] = history.map((message, i) => ({ message, parts: partsOf(message, `history.${i}`) }));
  if (prompt !== undefined) {
    const own = [
      ...images.map((image): Located => ({ part: { type: 'image', image }, field: 'images' })),
      ...parts.map((part, i) => ({ part, field: `parts.${i}` })),
    ];
    said.push({ message: { role: 'user', content: prompt }, parts: own });
  }
  // Of all messages at once: what one call may carry is bounded.
  const read = await openAiParts(
    said.flatMap(({ parts: own }) => own),
    context,
  );
  let at = 0;
  const messages = said.map(({ message, parts: own }) => {
    const media = read.slice(at, at + own.length);
    at += own.length;
    return { ...messageOf(message, media), ...thoughtOf(message, reasoningIn) };
  });
  return [...(system === undefined ? [] : [{ role: 'system' as const, content: system }]), ...messages];
}

interface Said {
  readonly message: AgentMessage;
  readonly parts: readonly Located[];
}

const partsOf = ({ parts = [] }: AgentMessage, field: string): Located[] =>
  parts.map((part, i) => ({ part: part as unknown as ContentPart, field: `${field}.parts.${i}` }));

/** Servers without support for media do not accept lists of parts; an empty text in front of media says nothing. */
const contentOf = (text: string, media: readonly OpenAiPart[]): string | OpenAiPart[] => {
  if (media.length === 0) return text;
  return text === '' ? [...media] : [{ type: 'text', text }, ...media];
};

/** The reasoning before an assistant message, under the name that the model's template reads. */
const thoughtOf = ({ role, reasoning }: AgentMessage, name: OpenAiOptions['reasoningInHistory']) =>
  name !== undefined && role === 'assistant' && reasoning ? { [name]: reasoning } : {};

function messageOf(
  { role, content, toolCalls = [], toolCallId, name }: AgentMessage,
  media: readonly OpenAiPart[],
): OpenAI.ChatCompletionMessageParam {
  const whole = contentOf(content, media);
  // OpenAI's own API takes text only here; vLLM takes media too.
  if (role === 'tool') return { role, content: whole as string, tool_call_id: toolCallId ?? '' };
  const speaker = name === undefined ? {} : { name };
  if (role === 'user') return { role, content: whole as string | OpenAI.ChatCompletionContentPart[], ...speaker };
  if (role !== 'assistant' || toolCalls.length === 0) return { role, content: whole as string, ...speaker };
  // A message that only calls tools has no content: some templates write an empty text into the prompt.
  return { role, content: content === '' ? null : content, tool_calls: toolCalls.map(callOf), ...speaker };
}

const callOf = ({ id, name, arguments: given }: NonNullable<AgentMessage['toolCalls']>[number]) => ({
  id,
  type: 'function' as const,
  function: { name, arguments: JSON.stringify(given) },
});
