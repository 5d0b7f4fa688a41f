import { z } from 'zod';
import { audio } from '../media.js';
import type { StageKind, StageUse } from './kind.js';

const input = z.object({ text: z.string() });
const output = z.object({
  /** 16-bit mono WAV at the voice's own rate (24 kHz for the embedded one). */
  audio: audio(),
});

export type SynthesizeInput = z.output<typeof input>;
export type SynthesizeOutput = z.output<typeof output>;

/** Speech synthesis: text to audio. */
export const synthesize = (options: { model: string }): StageUse<SynthesizeInput, SynthesizeOutput> => ({
  kind: 'synthesize',
  model: options.model,
  with: {},
  input,
  output,
});

export const synthesizeKind: StageKind = { input, output };
