import { z } from 'zod';
import { type Audio, audio, type Image, image } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z
  .object({
    text: z.string().optional(),
    textPair: z.string().optional(),
    image: image().optional(),
    audio: audio().optional(),
  })
  .refine(({ text, image, audio }) => [text, image, audio].filter((each) => each !== undefined).length === 1, {
    path: ['text'],
    message: 'give one of text, image and audio',
  })
  .refine(({ text, textPair }) => textPair === undefined || text !== undefined, {
    path: ['textPair'],
    message: 'goes with a text',
  });
const output = z.object({
  /** The label with the highest score. */
  label: z.string(),
  score: z.number(),
  /** Every label's score. */
  scores: z.record(z.string(), z.number()),
});

/** Output of `classify`. */
export interface ClassifyOutput<Label extends string> {
  label: Label;
  score: number;
  scores: Record<Label, number>;
}

/** What is classified: exactly one of text, image and audio; with `textPair`, two texts together. */
export type ClassifyInput =
  | { text: string; textPair?: string; image?: undefined; audio?: undefined }
  | { image: Image; text?: undefined; textPair?: undefined; audio?: undefined }
  | { audio: Audio; text?: undefined; textPair?: undefined; image?: undefined };

/**
 * Classifies a text, an image or audio into one of the model's labels; or a pair of texts, `text` and `textPair`, such
 * as for natural language inference. `labels`: in the order of the model's scores, unless its pool names them.
 */
export const classify = <const Label extends string>(options: {
  model: string;
  labels: readonly Label[];
}): StageUse<ClassifyInput, ClassifyOutput<Label>> => ({
  kind: 'classify',
  model: options.model,
  with: { labels: options.labels },
  input: input as unknown as z.ZodType<ClassifyInput>,
  output: z.object({
    label: z.enum(options.labels),
    score: z.number(),
    scores: z.object(Object.fromEntries(options.labels.map((label) => [label, z.number()]))),
  }) as unknown as z.ZodType<ClassifyOutput<Label>>,
});

export const classifyKind: StageKind = { input, output, ...TRAITS.classify };
