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
  /** One of the model's labels; `text` for text found by OCR; `speaker-0` for the first speaker. */
  label: z.string(),
  score: z.number(),
  /** Position in an image, in pixels from the top left. */
  box: z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() }).optional(),
  /** Position in audio, in milliseconds. */
  span: z.object({ startMs: z.number(), endMs: z.number() }).optional(),
  /** The text that is written or spoken there. */
  text: z.string().optional(),
  /**
   * The object's pixels, with the option `masks`: a PNG of the whole image, white where the object is, in the image's
   * size or with 1,024 pixels on the longer side.
   */
  mask: image().optional(),
});
const output = z.object({
  /** Ordered by score; text in reading order, audio by time. */
  detections: z.array(detection),
});

/** A detected object, text, sound event or speaker. */
export type Detection = z.output<typeof detection>;
export type DetectOutput = z.output<typeof output>;
/** The media to search: exactly one of them. */
export type DetectInput = { image: Image; audio?: undefined } | { audio: Audio; image?: undefined };

/**
 * Detects objects or text (OCR) in an image, or sound events or speakers in audio.
 *
 * ```ts
 * const read = stage('read', detect({ model: 'ocr', threshold: 0.5 }), { image: input.receipt });
 * read.detections;
 * ```
 */
export const detect = (options: {
  model: string;
  /** Return only detections with these labels. Default: all labels. */
  labels?: readonly string[];
  /** Minimum score. Default: the pool's. */
  threshold?: number;
  /**
   * Return masks, at most 100 unless the pool says otherwise. Needs a model with masks, otherwise `CAPABILITY_MISSING`.
   */
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
