import { abortable } from '../../../media/abortable.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { CallContext } from '../connector.js';
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
export async function readSamples(
  artifact: Artifact,
  input: BoundInput,
  { audio, signal }: Pick<CallContext, 'audio' | 'signal'>,
): Promise<Float32Array> {
  const { sampleRate = DEFAULT_RATE } = input;
  const most = mostSamples(input);
  const parts: Float32Array[] = [];
  let length = 0;
  for await (const part of abortable(audio.read(artifact, { sampleRate }), signal)) {
    length += part.length;
    if (length > most) {
      const message = `longer than ${most / sampleRate} s, which the model takes at once; split it`;
      throw new MillraceError('INVALID_INPUT', `audio: ${message}`, { fields: [{ field: 'audio', message }] });
    }
    parts.push(part);
  }
  const samples = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length;
  }
  return samples;
}
