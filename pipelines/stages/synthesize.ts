import { z } from 'zod';
import { type Audio, audio } from '../media.js';
import type { Stream } from '../stream.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({ text: z.union([z.string(), z.array(z.string())]) });
const output = z.object({
  /** 16-bit mono WAV at the voice's native rate (24 kHz for the embedded voice). */
  audio: audio({ channels: 1, encoding: 'wav' }),
});

/** A text, or its parts: a list, or a stream such as an answer’s sentences. */
export interface SynthesizeInput {
  text: string | readonly string[] | Stream<string>;
}
export interface SynthesizeOutput {
  audio: Audio<{ channels: 1; encoding: 'wav' }>;
}

/** Speech synthesis: text to audio. */
export const synthesize = (options: {
  model: string;
  /** The server's name of the voice, for models with several. */
  voice?: string;
}): StageUse<SynthesizeInput, SynthesizeOutput> => ({
  kind: 'synthesize',
  model: options.model,
  with: { ...(options.voice !== undefined && { voice: options.voice }) },
  input: input as unknown as z.ZodType<SynthesizeInput>,
  output,
});

export const synthesizeKind: StageKind = { input, output, ...TRAITS.synthesize };
