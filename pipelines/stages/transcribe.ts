import { z } from 'zod';
import { audio } from '../media.js';
import { type Stream, stream } from '../stream.js';
import type { StageKind, StageUse } from './kind.js';
import { unlessGiven } from './left-out.js';
import { A_LANGUAGE, LANGUAGE, LONGEST_INSTRUCTIONS } from './option-bounds.js';
import { TRAITS } from './traits.js';

const input = z.object({
  audio: audio(),
  /** Of the speech, as the option, which it replaces. */
  language: z.string().regex(LANGUAGE, A_LANGUAGE).optional(),
  /** What the model is told before the speech: names that occur, or the style of the transcript. */
  prompt: z.string().max(LONGEST_INSTRUCTIONS).optional(),
});
const span = { start: z.number(), end: z.number() };
const segment = z.object({
  ...span,
  text: z.string(),
  speaker: z.string().optional(),
  words: z.array(z.object({ ...span, text: z.string() })).optional(),
});
const output = z.object({
  /** The spoken text, without leading or trailing white space; empty for silence. */
  text: z.string(),
  /** Parts of the text with their times in seconds from the start of the audio, where `segments` requests them. */
  segments: z.array(segment).optional(),
});

export type TranscribeInput = z.output<typeof input>;
export type TranscribeOutput = z.output<typeof output>;
/** A part of a transcript, with its times in seconds from the start of the audio. */
export type TranscriptSegment = z.output<typeof segment>;
export interface TimedTranscribeOutput extends TranscribeOutput {
  /** The segments as a stream, each as soon as it is recognised. */
  entries: Stream<TranscriptSegment>;
}

interface TranscribeOptions {
  model: string;
  /** Of the speech, as ISO 639-1: `de`. Default: the model finds out. */
  language?: string;
  /** Return times: of segments, or of their words too. Needs a server that reports them. */
  segments?: 'segments' | 'words';
}

/**
 * Speech recognition: from audio of any rate and channel count to text.
 *
 * ```ts
 * const heard = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
 * heard.text;
 * ```
 *
 * With `segments`, `entries` of the output is a stream of them.
 */
export function transcribe(
  options: TranscribeOptions & { segments: 'segments' | 'words' },
): StageUse<TranscribeInput, TimedTranscribeOutput>;
export function transcribe(options: TranscribeOptions): StageUse<TranscribeInput, TranscribeOutput>;
export function transcribe({ model, language, segments }: TranscribeOptions): StageUse<TranscribeInput, never> {
  const timed = output.extend({ entries: stream('entries', 'segments', segment) });
  return {
    kind: 'transcribe',
    model,
    with: { ...(language !== undefined && { language }), ...(segments !== undefined && { segments }) },
    input,
    output: (segments === undefined ? output : timed) as unknown as z.ZodType<never>,
  };
}

export const transcribeKind: StageKind = {
  ...TRAITS.transcribe,
  // A stage that is bound to a whole object of a caller takes these fields as they come.
  input: unlessGiven(input, ['language', 'prompt']),
  output,
  // An hour of audio is legitimate; a dead server is detected by the heartbeat, not by this limit.
  policy: { timeout: { attempt: '10m', total: '30m' } },
};
