import type { OpenAI } from 'openai';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { AgentMessage } from '../../../pipelines/plan/index.js';
import type { CallContext } from '../connector.js';
import type { OpenAiOptions } from './options.js';

/** The conversation: system message, earlier turns, then the prompt with its images, if any. */
export async function messagesOf(
  system: string | undefined,
  input: JsonObject,
  context: Pick<CallContext, 'bytes' | 'signal'>,
  reasoningIn?: OpenAiOptions['reasoningInHistory'],
): Promise<OpenAI.ChatCompletionMessageParam[]> {
  const {
    prompt,
    history = [],
    images = [],
  } = input as unknown as {
    readonly prompt?: string;
    readonly history?: readonly AgentMessage[];
    readonly images?: readonly Artifact[];
  };
  const pictures = await picturesOf(images, context);
  return [
    ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
    ...history.map((message) => ({ ...messageOf(message), ...thoughtOf(message, reasoningIn) })),
    ...(prompt === undefined ? [] : [userMessage(prompt, pictures)]),
  ];
}

// Servers without image support do not accept lists of parts.
const userMessage = (prompt: string, pictures: readonly Picture[]): OpenAI.ChatCompletionUserMessageParam => ({
  role: 'user',
  content: pictures.length === 0 ? prompt : [{ type: 'text', text: prompt }, ...pictures],
});

/** The reasoning before an assistant message, under the name that the model's template reads. */
const thoughtOf = ({ role, reasoning }: AgentMessage, name: OpenAiOptions['reasoningInHistory']) =>
  name !== undefined && role === 'assistant' && reasoning ? { [name]: reasoning } : {};

function messageOf({ role, content, toolCalls = [], toolCallId }: AgentMessage): OpenAI.ChatCompletionMessageParam {
  if (role === 'tool') return { role, content, tool_call_id: toolCallId ?? '' };
  if (role !== 'assistant' || toolCalls.length === 0) return { role, content };
  // A message that only calls tools has no content: some templates write an empty text into the prompt.
  return { role, content: content === '' ? null : content, tool_calls: toolCalls.map(callOf) };
}

const callOf = ({ id, name, arguments: given }: NonNullable<AgentMessage['toolCalls']>[number]) => ({
  id,
  type: 'function' as const,
  function: { name, arguments: JSON.stringify(given) },
});

type Picture = OpenAI.ChatCompletionContentPartImage;

const MEBIBYTE = 1024 * 1024;
/** OpenAI's and vLLM's documented limit per image; base64 adds a third. */
const MOST_IMAGE_BYTES = 20 * MEBIBYTE;
/** All images of a call, repeats included: OpenAI accepts requests of 50 MB, and a worker holds several at once. */
const MOST_BYTES = 50 * MEBIBYTE;
/** More than any vision model accepts in one prompt; prevents reading a long list of small images one by one. */
const MOST_IMAGES = 100;

/**
 * The images by value: a server cannot reach the artifact store. They are read one after the other, a repeated one
 * once. Sizes stated in the input are checked before anything is read, actual sizes afterwards.
 */
async function picturesOf(
  images: readonly Artifact[],
  { bytes: read, signal }: Pick<CallContext, 'bytes' | 'signal'>,
): Promise<Picture[]> {
  if (images.length > MOST_IMAGES) throw refused(`${images.length} images; at most ${MOST_IMAGES} go into one call`);
  const largest = Math.max(0, ...images.map(({ bytes }) => bytes));
  if (largest > MOST_IMAGE_BYTES) {
    throw refused(`an image of ${largest} bytes; model servers take ${MOST_IMAGE_BYTES} at most`);
  }
  refuseMore(images.reduce((sum, { bytes }) => sum + bytes, 0));
  const known = new Map<string, { readonly picture: Picture; readonly bytes: number }>();
  const pictures: Picture[] = [];
  let sum = 0;
  for (const image of images) {
    if (!read) throw new MillraceError('INTERNAL', 'this host cannot read images');
    const found = known.get(image.uri) ?? pictureOf(image, await read(image));
    signal.throwIfAborted();
    known.set(image.uri, found);
    sum += found.bytes;
    refuseMore(sum);
    pictures.push(found.picture);
  }
  return pictures;
}

function pictureOf({ mime }: Artifact, bytes: Uint8Array): { readonly picture: Picture; readonly bytes: number } {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return { picture: { type: 'image_url', image_url: { url: `data:${mime};base64,${data}` } }, bytes: bytes.length };
}

function refuseMore(bytes: number): void {
  if (bytes > MOST_BYTES) throw refused(`images of ${bytes} bytes in all; at most ${MOST_BYTES} go into one call`);
}

const refused = (message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', message, { fields: [{ field: 'images', message }] });
