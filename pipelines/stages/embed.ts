import { z } from 'zod';
import { type Audio, audio, type Image, image, type Video, video } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

/** Items of one stage: what a worker holds as JSON numbers beside its other calls. */
const MOST_ITEMS = 2_048;

/** Tokens of one text: more than any model reads. */
const MOST_TOKENS = 32_768;

/** What can be embedded. */
export const EMBEDDED = ['text', 'image', 'audio', 'video'] as const;

const input = z
  .object({
    text: z.string().optional(),
    image: image().optional(),
    audio: audio().optional(),
    video: video().optional(),
  })
  .refine((given) => EMBEDDED.filter((each) => given[each] !== undefined).length === 1, {
    path: ['text'],
    message: 'give one of text, image, audio and video',
  })
  .meta({ exactlyOne: EMBEDDED });
const inputs = z
  .object({
    texts: z.array(z.string()).max(MOST_ITEMS).optional(),
    items: z.array(input).max(MOST_ITEMS).optional(),
  })
  .refine(({ texts, items }) => (texts === undefined) !== (items === undefined), {
    path: ['texts'],
    message: 'give either texts or items',
  })
  .meta({ exactlyOne: ['texts', 'items'] });
const tokens = z.object({ tokens: z.array(z.array(z.int().min(0)).min(1).max(MOST_TOKENS)).max(MOST_ITEMS) });
const vector = z.array(z.number());
const output = z.object({
  /** The embedding, of length 1 (L2 norm). */
  embedding: vector,
});
const outputs = z.object({
  /** The embeddings in the order of what they are of, each of length 1 (L2 norm). */
  embeddings: z.array(vector),
});

/** What is embedded: exactly one of text, image, audio and video. */
export type EmbedInput =
  | { text: string; image?: undefined; audio?: undefined; video?: undefined }
  | { image: Image; text?: undefined; audio?: undefined; video?: undefined }
  | { audio: Audio; text?: undefined; image?: undefined; video?: undefined }
  | { video: Video; text?: undefined; image?: undefined; audio?: undefined };
export type EmbedOutput = z.output<typeof output>;
/** Texts, or items of any kinds, mixed. */
export type EmbedAllInput = { texts: string[]; items?: undefined } | { items: EmbedInput[]; texts?: undefined };
export type EmbedTokensInput = z.output<typeof tokens>;
export type EmbedAllOutput = z.output<typeof outputs>;

export interface EmbedOptions {
  readonly model: string;
  /**
   * Role of the text, for models that embed queries and passages differently. The pool's option `as` defines what is
   * sent; without that option this has no effect.
   */
  readonly as?: EmbedRole;
}

export type EmbedRole = 'query' | 'passage';

const asGiven = ({ as }: EmbedOptions) => ({ ...(as !== undefined && { as }) });

/**
 * Embeds a text, an image, audio or a video as a vector. Which media a model accepts besides text is an option of its
 * pool: a tensor map, or `embedBy` for servers of OpenAI's API. Anything else is `CAPABILITY_MISSING`.
 */
export const embed = (options: EmbedOptions): StageUse<EmbedInput, EmbedOutput> => ({
  kind: 'embed',
  model: options.model,
  with: asGiven(options),
  input: input as unknown as z.ZodType<EmbedInput>,
  output,
});

/**
 * Up to 2,048 texts, or items of any kinds, to their embeddings, in as few requests as the server and the pool's batch size
 * allow.
 *
 * ```ts
 * stage('all', embedAll({ model: 'clip' }), { items: [{ text: input.title }, { image: input.photo }] }).embeddings;
 * ```
 */
export const embedAll = (options: EmbedOptions): StageUse<EmbedAllInput, EmbedAllOutput> => ({
  kind: 'embed',
  model: options.model,
  with: asGiven(options),
  input: inputs as unknown as z.ZodType<EmbedAllInput>,
  output: outputs,
});

/**
 * Up to 2,048 texts, each as the tokens of the model's own tokenizer, to their embeddings. Needs a pool of the connector `openai`
 * whose server takes tokens, as vLLM and OpenAI do.
 */
export const embedTokens = (options: Pick<EmbedOptions, 'model'>): StageUse<EmbedTokensInput, EmbedAllOutput> => ({
  kind: 'embed',
  model: options.model,
  with: {},
  input: tokens,
  output: outputs,
});

export const embedKind: StageKind = {
  input: z.union([input, inputs, tokens]),
  output: z.union([output, outputs]),
  ...TRAITS.embed,
};
