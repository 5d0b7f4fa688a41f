import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { mapSubschemas } from '../../pipelines/json-schema/map-subschemas.js';
import { isMediaKind, type MediaKind } from '../../pipelines/media.js';
import type { Schema } from './route-doc.js';

/** Replaces media and tensors in a pipeline's schema, which are validated by code, by their wire form. */
export function withMedia(schema: Json, as: (node: JsonObject, kind: MediaKind) => Schema): Schema {
  return walk(schema, as) as Schema;
}

function walk(node: Json, as: (node: JsonObject, kind: MediaKind) => Schema): Json {
  if (!isJsonObject(node)) return node;
  const { media, tensor } = node;
  if (isMediaKind(media)) return as(node, media);
  if (isJsonObject(tensor)) return tensorSchema(tensor);
  return mapSubschemas(node, (schema) => walk(schema, as));
}

function tensorSchema({ dtype = '', shape }: JsonObject): Schema {
  const type = dtype === 'BOOL' ? 'boolean' : dtype === 'BYTES' ? 'string' : ['number', 'string'];
  return {
    type: 'object',
    description: `A ${String(dtype)} tensor of shape ${JSON.stringify(shape ?? [])}, row-major; -1 for a dimension that varies`,
    properties: {
      dtype: { const: dtype },
      shape: { type: 'array', items: { type: 'integer', minimum: 0 } },
      data: { type: 'array', items: { type } },
    },
    required: ['dtype', 'shape', 'data'],
  };
}

/** A media field of a JSON input. */
export const mediaInput = (_: JsonObject, kind: MediaKind): Schema => ({
  $ref: `#/components/schemas/${INPUTS[kind]}`,
});
const INPUTS: Readonly<Record<MediaKind, string>> = {
  audio: 'AudioInput',
  image: 'ImageInput',
  video: 'VideoInput',
  file: 'FileInput',
};

/** A media field of an output. */
export const mediaOutput = (): Schema => ({ $ref: '#/components/schemas/Artifact' });

/** A media part of a multipart body. */
export const mediaPart = (node: JsonObject): Schema => ({
  type: 'string',
  format: 'binary',
  ...(typeof node.description === 'string' && { description: 'A file' }),
});

export function mediaCount(schema: Json): number {
  let count = 0;
  withMedia(schema, (node) => {
    count++;
    return node;
  });
  return count;
}
