import { z } from 'zod';
import { audio } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({ audio: audio() });
const span = { start: z.number(), end: z.number() };
const output = z.object({
  /** The spoken text, without leading or trailing white space; empty for silence. */
  text: z.string(),
  /** Parts of the text with their times in seconds from the start of the audio, where `segments` requests them. */
  segments: z
    .array(
      z.object({
        ...span,
        text: z.string(),
        speaker: z.string().optional(),
        words: z.array(z.object({ ...span, text: z.string() })).optional(),
      }),
    )
    .optional(),
});

export type TranscribeInput = z.output<typeof input>;
export type TranscribeOutput = z.output<typeof output>;

/**
 * Speech recognition: from audio of any rate and channel count to text.
 *
 * ```ts
 * const heard = stage('transcribe', transcribe({ model: 'whisper' }), { audio: input.speech });
 * heard.text;
 * ```
 */
export const transcribe = ({
  model,
  language,
  segments,
}: {
  model: string;
  /** Of the speech, as ISO 639-1: `de`. Default: the model finds out. */
  language?: string;
  /** Return times: of segments, or of their words too. Needs a server that reports them. */
  segments?: 'segments' | 'words';
}): StageUse<TranscribeInput, TranscribeOutput> => ({
  kind: 'transcribe',
  model,
  with: { ...(language !== undefined && { language }), ...(segments !== undefined && { segments }) },
  input,
  output,
});

export const transcribeKind: StageKind = {
  ...TRAITS.transcribe,
  input,
  output,
  // An hour of audio is legitimate; a dead server is detected by the heartbeat, not by this limit.
  policy: { timeout: { attempt: '10m', total: '30m' } },
};
