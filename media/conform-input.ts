import type { z } from 'zod';
import { type Artifact, isArtifact } from '../pipelines/artifact.js';
import type { Json } from '../pipelines/json.js';
import type { AudioFormat } from '../pipelines/media.js';
import { fits } from './convert-audio.js';
import { mapMedia } from './media-walk.js';

/** Converts audio to a format. `path` is its path in the input. */
export type Convert = (artifact: Artifact, format: AudioFormat, path: string) => Promise<Artifact>;

/**
 * Converts audio in a stage's input, at any depth, to the format that its schema declares. For stages that take the
 * artifact itself; stages that read samples through the audio port need no conversion. Values that are not artifacts
 * are left for validation to reject.
 */
export const conformInput = (schema: z.ZodType, input: Json, convert: Convert): Promise<Json> =>
  mapMedia(schema, input, async (value, { kind, path, schema: field }) => {
    if (kind !== 'audio' || !isArtifact(value)) return value;
    const format = declaredFormat(field);
    return fits(value, format) ? value : ({ ...(await convert(value, format, path)) } as unknown as Json);
  });

/** The options of `audio({ … })`. */
function declaredFormat(schema: z.ZodType): AudioFormat {
  const { rate, channels, encoding } = (schema.meta() ?? {}) as AudioFormat;
  return {
    ...(rate !== undefined && { rate }),
    ...(channels !== undefined && { channels }),
    ...(encoding !== undefined && { encoding }),
  };
}
