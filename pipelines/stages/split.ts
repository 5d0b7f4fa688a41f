import { z } from 'zod';
import type { OfKind } from '../definition/refused.js';
import { type Duration, durationMs } from '../duration.js';
import { type Audio, audio } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

export const splitInput = z.object({ audio: audio() });
export const splitOutput = z.object({
  parts: z.array(z.object({ audio: audio({ encoding: 'wav', channels: 1 }), startMs: z.number() })),
});

/** Output of `split`: the parts as mono WAV, each with its start in milliseconds. */
export interface SplitOutput {
  parts: { audio: Audio<{ encoding: 'wav'; channels: 1 }>; startMs: number }[];
}

/** Splits long audio into parts of at most `longest`, cut at the quietest points, in order and without overlap. */
export const split = (
  options: {
    /** 1 second to 10 minutes. Default 30 s: Whisper's window. */
    longest?: Duration;
  } = {},
): StageUse<{ audio: Audio }, SplitOutput> & OfKind<'split'> => ({
  kind: 'split',
  model: 'audio',
  with: { longestMs: durationMs(options.longest ?? '30s', 'split.longest') },
  input: splitInput,
  output: splitOutput as unknown as z.ZodType<SplitOutput>,
});

export const splitKind: StageKind = { input: splitInput, output: splitOutput, ...TRAITS.split };
