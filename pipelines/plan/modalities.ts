import { isArtifact } from '../artifact.js';
import { isJsonObject, type Json } from '../json.js';

/** What a model may take beside text. */
export const MODALITIES = ['image', 'audio', 'video', 'file'] as const;
export type Modality = (typeof MODALITIES)[number];

/** A medium in a stage's input. */
interface MediaUse {
  readonly modality: Modality;
  /** Path of the field: `parts.0.image`. */
  readonly field: string;
}

/**
 * Media of a stage's input by the fields that name their kind, `image` or `images`: artifacts, and in a binding the
 * references to them. A reference to a whole message or list of parts says nothing of its media.
 */
export function* mediaUses(value: Json | undefined, at = ''): Generator<MediaUse, void> {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* mediaUses(item as Json, below(at, String(i)));
    return;
  }
  if (!isJsonObject(value as Json)) return;
  for (const [key, inner] of Object.entries(value as Readonly<Record<string, Json>>)) {
    const field = below(at, key);
    const modality = key === 'images' ? 'image' : MODALITIES.find((each) => each === key);
    if (modality !== undefined && isMedium(inner)) yield { modality, field };
    else if (key === 'images' && Array.isArray(inner) && inner.some(isMedium)) yield { modality: 'image', field };
    else yield* mediaUses(inner, field);
  }
}

const isMedium = (value: Json): boolean => isArtifact(value) || (isJsonObject(value) && typeof value.$ref === 'string');

const below = (at: string, key: string): string => (at === '' ? key : `${at}.${key}`);
