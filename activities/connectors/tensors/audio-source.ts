import type { Artifact } from '../../../pipelines/artifact.js';
import type { CallContext } from '../connector.js';
import { wholeAudio } from '../whole-audio.js';
import type { BoundInput } from './bind.js';
import { roomOf } from './encode.js';

/** What speech models take, unless the map says otherwise. */
export const DEFAULT_RATE = 16_000;
/** Whisper's window. */
const DEFAULT_SECONDS = 30;

/** Most samples of one request: those of a fixed shape, or of the map's `seconds`. */
export function mostSamples({ shape, seconds, sampleRate = DEFAULT_RATE }: BoundInput): number {
  const room = roomOf(shape);
  const asked = seconds === undefined ? undefined : Math.round(seconds * sampleRate);
  return Math.min(
    room ?? Number.POSITIVE_INFINITY,
    asked ?? (room === undefined ? DEFAULT_SECONDS * sampleRate : room),
  );
}

/** All samples of audio that goes into one request. Throws `INVALID_INPUT` if it is longer than the model takes. */
export const readSamples = (
  artifact: Artifact,
  input: BoundInput,
  context: Pick<CallContext, 'audio' | 'signal'>,
): Promise<Float32Array> =>
  wholeAudio(artifact, { sampleRate: input.sampleRate ?? DEFAULT_RATE, most: mostSamples(input) }, context);
