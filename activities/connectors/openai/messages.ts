import type { OpenAI } from 'openai';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { CallContext } from '../connector.js';

interface Turn {
  readonly role: 'user' | 'assistant' | 'system';
  readonly content: string;
}

/** The conversation: system message, the turns so far, then the prompt with its images. */
export async function messagesOf(
  system: string | undefined,
  input: JsonObject,
  context: Pick<CallContext, 'bytes'>,
): Promise<OpenAI.ChatCompletionMessageParam[]> {
  const {
    prompt,
    history = [],
    images = [],
  } = input as unknown as {
    readonly prompt: string;
    readonly history?: readonly Turn[];
    readonly images?: readonly Artifact[];
  };
  const pictures = await Promise.all(images.map((image) => pictureOf(image, context)));
  return [
    ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
    ...history.map(({ role, content }) => ({ role, content })),
    // Servers without images know no lists of parts.
    { role: 'user', content: pictures.length === 0 ? prompt : [{ type: 'text', text: prompt }, ...pictures] },
  ];
}

/** OpenAI's and vLLM's documented limit of an image; base64 adds a third to it. */
const MOST_IMAGE_BYTES = 20 * 1024 * 1024;

/** The image by value: a server cannot reach the artifact store. */
async function pictureOf(
  image: Artifact,
  { bytes }: Pick<CallContext, 'bytes'>,
): Promise<OpenAI.ChatCompletionContentPartImage> {
  if (image.bytes > MOST_IMAGE_BYTES) {
    throw new MillraceError(
      'INVALID_INPUT',
      `an image of ${image.bytes} bytes; model servers take ${MOST_IMAGE_BYTES} at most`,
      { fields: [{ field: 'images', message: `more than ${MOST_IMAGE_BYTES} bytes` }] },
    );
  }
  if (!bytes) throw new MillraceError('INTERNAL', 'this host gives its connectors no way to read an image');
  const data = Buffer.from(await bytes(image)).toString('base64');
  return { type: 'image_url', image_url: { url: `data:${image.mime};base64,${data}` } };
}
