import { z } from 'zod';
import { audio } from '../media.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({ audio: audio() });
const output = z.object({
  /** The spoken text, without leading or trailing white space; empty for silence. */
  text: z.string(),
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
export const transcribe = (options: { model: string }): StageUse<TranscribeInput, TranscribeOutput> => ({
  kind: 'transcribe',
  model: options.model,
  with: {},
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
