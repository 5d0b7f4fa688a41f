import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({ text: z.string() });
const output = z.object({
  /** The text's embedding, of length 1 (L2 norm). */
  embedding: z.array(z.number()),
});

export type EmbedInput = z.output<typeof input>;
export type EmbedOutput = z.output<typeof output>;

/** Text to an embedding vector. */
export const embed = (options: { model: string }): StageUse<EmbedInput, EmbedOutput> => ({
  kind: 'embed',
  model: options.model,
  with: {},
  input,
  output,
});

export const embedKind: StageKind = { input, output, ...TRAITS.embed };
