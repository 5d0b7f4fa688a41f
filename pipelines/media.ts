import { z } from 'zod';
import { type Artifact, isArtifact } from './artifact.js';

declare const FORMAT: unique symbol;

/**
 * Audio on an edge, by reference. `Rate` is its sample rate in Hz where the type knows it: two known, different rates on
 * one edge are a compile error; an unknown one is resampled where it is consumed.
 */
export type Audio<Rate extends number | 'any' = 'any'> = Rate extends number
  ? Artifact & { readonly [FORMAT]?: Rate }
  : Artifact;

/** Schema of an audio value. At the HTTP door the caller may send the file itself; inside a run it is an artifact. */
export const audio = <const Rate extends number | 'any' = 'any'>(
  format: { rate?: Rate } = {},
): z.ZodType<Audio<Rate>> =>
  z
    .custom<Audio<Rate>>((value) => isArtifact(value) && value.mime.startsWith('audio/'), 'not an audio artifact')
    .meta({ media: 'audio', description: 'Audio by reference', ...format });

/** The kind of media that a schema asks for, when it asks for media. */
export function mediaOf(schema: z.ZodType): 'audio' | undefined {
  const inner =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? (schema.unwrap() as z.ZodType) : schema;
  return inner.meta()?.media === 'audio' ? 'audio' : undefined;
}
