import { z } from 'zod';
import type { JsonObject } from '../json.js';
import { type Audio, audio } from '../media.js';
import { type Stream, stream } from '../stream.js';
import type { StageKind, StageUse } from './kind.js';
import { isGiven, unlessGiven } from './left-out.js';
import { LONGEST_INSTRUCTIONS, LONGEST_VOICE, SPEED } from './option-bounds.js';
import { TRAITS } from './traits.js';

/** What a model fills in where a voice is its tool: how it sounds is the author's choice. */
export const spokenText = z.object({ text: z.union([z.string(), z.array(z.string())]) });
const manner = {
  voice: z.string().min(1).max(LONGEST_VOICE).optional(),
  speed: z.number().min(SPEED.least).max(SPEED.most).optional(),
  instructions: z.string().max(LONGEST_INSTRUCTIONS).optional(),
};
const input = spokenText.extend(manner);

/** The options of a call, with what its input says of how it is spoken in their place. */
export const spokenBy = (options: JsonObject, given: JsonObject): JsonObject => {
  const said = Object.entries(given).filter(([name, value]) => Object.hasOwn(manner, name) && isGiven(value));
  return { ...options, ...Object.fromEntries(said) };
};

/** 16-bit mono WAV at the voice's native rate (24 kHz for the embedded voice). */
const speech = audio({ channels: 1, encoding: 'wav' });
const piece: z.ZodType<SpeechPiece> = z.object({
  audio: speech,
  number: z.int(),
  text: z.string(),
  at: z.int(),
});
const output = z.object({ audio: speech });

/** A text, or its parts: a list, or a stream such as an answer’s sentences. */
export interface SynthesizeInput {
  text: string | readonly string[] | Stream<string>;
  /** The server’s name of the voice; replaces the option. */
  voice?: string | undefined;
  /** 1 is the voice's own; 0.25 to 4. */
  speed?: number | undefined;
  /** How it speaks, for models that take such a text. */
  instructions?: string | undefined;
}
/** A piece of a voice's audio, a sentence: what `stage.audio` events tell of it. */
export interface SpeechPiece {
  /** The piece by reference, with its format and length. */
  audio: Audio<{ channels: 1; encoding: 'wav' }>;
  /** From 0. */
  number: number;
  /** What is spoken, with the white space before it. */
  text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  at: number;
}
export interface SynthesizeOutput {
  /** All of it, when the stage has ended. */
  audio: Audio<{ channels: 1; encoding: 'wav' }>;
  /** The same piece by piece: a stream, each piece as soon as it is spoken. */
  chunks: Stream<SpeechPiece>;
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
  output: output.extend({ chunks: stream('chunks', '', piece) }),
});

export const synthesizeKind: StageKind = {
  // A stage that is bound to a whole object of a caller takes these fields as they come.
  input: unlessGiven(input, Object.keys(manner)),
  output,
  ...TRAITS.synthesize,
};
