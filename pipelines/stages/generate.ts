import { z } from 'zod';
import type { JsonObject } from '../json.js';
import { type Audio, audio, type Image, image, type Video, video } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

/** What a model may generate: `audio` is music or sound; speech is what `synthesize` makes. */
export const GENERATED = ['image', 'video', 'audio'] as const;
/** What `generate` makes. */
export type Generated = (typeof GENERATED)[number];

/** Most images of one stage. */
export const MOST_GENERATED = 10;

const input = z.object({
  prompt: z.string(),
  /** To start from, or to take as examples, where the model does. */
  images: z.array(image()).optional(),
  /** Of images. Replaces the stage's. */
  count: z.int().min(1).max(MOST_GENERATED).optional(),
  /** Replace those of the stage by name. */
  options: z.record(z.string(), z.json()).optional(),
});

/**
 * Input of `generate`: the prompt; images to start from, if the model supports it; and a count and options that
 * replace those of the stage.
 */
export interface GenerateInput {
  prompt: string;
  images?: Image[] | undefined;
  count?: number | undefined;
  options?: Record<string, unknown> | undefined;
}

const outputs = {
  image: z.object({ image: image(), images: z.array(image()).min(1).max(MOST_GENERATED) }),
  video: z.object({ video: video() }),
  audio: z.object({ audio: audio() }),
};

interface Outputs {
  /** `image` is the first of `images`. */
  image: { image: Image; images: Image[] };
  video: { video: Video };
  audio: { audio: Audio };
}
/** Output of `generate`, by what it makes. */
export type GenerateOutput<Makes extends Generated> = Outputs[Makes];

/**
 * Generates images, a video, or music from a prompt. If the server works in jobs, a repeated attempt continues with the job of
 * the previous one, a cancelled run cancels it, and the event `stage.progress` reports its progress.
 *
 * ```ts
 * const painted = stage('paint', generate({ model: 'painter', makes: 'image', options: { size: '1024x1024' } }), {
 *   prompt: input.prompt,
 * });
 * painted.image;
 * ```
 */
export const generate = <Makes extends Generated>(options: {
  model: string;
  makes: Makes;
  /** Images to make, at most 10. Default 1. */
  count?: number;
  /** Of the model: size, steps, seed, adapters (LoRA). Checked against the schema of the pool, `accepts`. */
  options?: JsonObject;
}): StageUse<GenerateInput, GenerateOutput<Makes>> => ({
  kind: 'generate',
  model: options.model,
  with: {
    makes: options.makes,
    ...(options.count !== undefined && { count: options.count }),
    ...(options.options && { options: options.options }),
  },
  input: input as unknown as z.ZodType<GenerateInput>,
  output: outputs[options.makes] as unknown as z.ZodType<GenerateOutput<Makes>>,
});

export const generateKind: StageKind = {
  input,
  output: z.union([outputs.image, outputs.video, outputs.audio]),
  ...TRAITS.generate,
  // A minute of video takes a GPU many minutes, and its queue comes on top.
  policy: { timeout: { attempt: '30m', total: '2h' } },
};
