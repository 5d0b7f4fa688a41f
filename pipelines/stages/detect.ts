import { z } from 'zod';
import { type Audio, audio, type Image, image } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z
  .object({ image: image().optional(), audio: audio().optional() })
  .refine(({ image, audio }) => (image === undefined) !== (audio === undefined), {
    path: ['image'],
    message: 'give either an image or audio',
  });

export const detection = z.object({
  /** What it is: one of the model's labels; `text` for what a reader of text has found, `speaker-0` for the first to speak. */
  label: z.string(),
  score: z.number(),
  /** Where it is in an image, in its pixels from the top left. */
  box: z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() }).optional(),
  /** When it is in audio. */
  span: z.object({ startMs: z.number(), endMs: z.number() }).optional(),
  /** What is written or said there. */
  text: z.string().optional(),
  /**
   * Which pixels it is, where `masks` asks for it: a PNG of the whole image, white where the thing is, in the image's size or with 1,024
   * pixels on the longer side.
   */
  mask: image().optional(),
});
const output = z.object({
  /** Best first; of text the order in which the model read it, of audio that of time. */
  detections: z.array(detection),
});

export type Detection = z.output<typeof detection>;
export type DetectOutput = z.output<typeof output>;
/** What is searched: exactly one of them. */
export type DetectInput = { image: Image; audio?: undefined } | { audio: Audio; image?: undefined };

/**
 * Finds things in an image or in audio: objects, text (OCR), sound events, speakers.
 *
 * ```ts
 * const read = stage('read', detect({ model: 'ocr', threshold: 0.5 }), { image: input.receipt });
 * read.detections;
 * ```
 */
export const detect = (options: {
  model: string;
  /** Only these. Default: all that the model knows. */
  labels?: readonly string[];
  /** Least score. Default: the pool's. */
  threshold?: number;
  /** Return masks, at most 100 unless the pool says otherwise. Needs a model that has them: else `CAPABILITY_MISSING`. */
  masks?: boolean;
}): StageUse<DetectInput, DetectOutput> => ({
  kind: 'detect',
  model: options.model,
  with: {
    ...(options.labels && { labels: options.labels }),
    ...(options.threshold !== undefined && { threshold: options.threshold }),
    ...(options.masks && { masks: true }),
  },
  input: input as unknown as z.ZodType<DetectInput>,
  output,
});

export const detectKind: StageKind = { input, output, ...TRAITS.detect };
