import type { z } from 'zod';
import { type Artifact, isArtifact } from '../pipelines/artifact.js';
import type { Json } from '../pipelines/json.js';
import type { AudioFormat } from '../pipelines/media.js';
import { fits } from './convert-audio.js';
import { mapMedia } from './media-walk.js';

/** Gives audio in a format. `path` is where it stands in the input. */
export type Convert = (artifact: Artifact, format: AudioFormat, path: string) => Promise<Artifact>;

/**
 * Converts the audio in a stage's input, at any depth, that is not of the format its schema declares. For stages that take
 * the artifact itself: one that reads samples through the audio port needs no conversion. What is no artifact stays as it
 * is, for validation to refuse.
 */
export const conformInput = (schema: z.ZodType, input: Json, convert: Convert): Promise<Json> =>
  mapMedia(schema, input, async (value, { kind, path, schema: field }) => {
    if (kind !== 'audio' || !isArtifact(value)) return value;
    const format = declaredFormat(field);
    return fits(value, format) ? value : ({ ...(await convert(value, format, path)) } as unknown as Json);
  });

/** What `audio({ … })` was given. */
function declaredFormat(schema: z.ZodType): AudioFormat {
  const { rate, channels, encoding } = (schema.meta() ?? {}) as AudioFormat;
  return {
    ...(rate !== undefined && { rate }),
    ...(channels !== undefined && { channels }),
    ...(encoding !== undefined && { encoding }),
  };
}
