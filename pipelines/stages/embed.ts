import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

/** Texts of one stage: what a worker holds as JSON numbers beside its other calls. */
const MOST_TEXTS = 2_048;

/** Tokens of one text: more than any model reads. */
const MOST_TOKENS = 32_768;

const input = z.object({ text: z.string() });
const inputs = z.object({ texts: z.array(z.string()).max(MOST_TEXTS) });
const tokens = z.object({ tokens: z.array(z.array(z.int().min(0)).min(1).max(MOST_TOKENS)).max(MOST_TEXTS) });
const vector = z.array(z.number());
const output = z.object({
  /** The text's embedding, of length 1 (L2 norm). */
  embedding: vector,
});
const outputs = z.object({
  /** The texts' embeddings in their order, each of length 1 (L2 norm). */
  embeddings: z.array(vector),
});

export type EmbedInput = z.output<typeof input>;
export type EmbedOutput = z.output<typeof output>;
export type EmbedAllInput = z.output<typeof inputs>;
export type EmbedTokensInput = z.output<typeof tokens>;
export type EmbedAllOutput = z.output<typeof outputs>;

export interface EmbedOptions {
  readonly model: string;
  /**
   * What the text is for, where the model embeds questions and passages differently; how it is told is an option of the
   * pool (`as`). Without one there it has no effect.
   */
  readonly as?: EmbedRole;
}

export type EmbedRole = 'query' | 'passage';

const asGiven = ({ as }: EmbedOptions) => ({ ...(as !== undefined && { as }) });

/** Text to an embedding vector. */
export const embed = (options: EmbedOptions): StageUse<EmbedInput, EmbedOutput> => ({
  kind: 'embed',
  model: options.model,
  with: asGiven(options),
  input,
  output,
});

/** Up to 2,048 texts to their embeddings, in as few requests as the pool's batch size allows. */
export const embedAll = (options: EmbedOptions): StageUse<EmbedAllInput, EmbedAllOutput> => ({
  kind: 'embed',
  model: options.model,
  with: asGiven(options),
  input: inputs,
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
