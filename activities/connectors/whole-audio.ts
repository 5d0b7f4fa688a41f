import { abortable } from '../../media/abortable.js';
import { joinedFloats } from '../../media/samples.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { CallContext } from './connector.js';

/**
 * All samples of audio that goes into one request, in [-1, 1]. Throws `INVALID_INPUT` if there are more than the server
 * takes.
 */
export async function wholeAudio(
  artifact: Artifact,
  { sampleRate, most }: { readonly sampleRate: number; readonly most: number },
  { audio, signal }: Pick<CallContext, 'audio' | 'signal'>,
): Promise<Float32Array> {
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
  return joinedFloats(parts);
}
