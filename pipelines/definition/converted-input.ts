import { z } from 'zod';
import { bare } from '../media.js';

/*
 * Schemas that make another value of what a caller sends. No zod runs between two steps, so nothing does it there.
 */

/** Whether a schema makes another value of what it is given: a transform, a codec, a preprocessing function. */
export function converts(schema: z.ZodType): boolean {
  const inner = bare(schema);
  if (inner instanceof z.ZodTransform || inner instanceof z.ZodCodec) return true;
  return inner instanceof z.ZodPipe && (converts(inner.def.in as z.ZodType) || converts(inner.def.out as z.ZodType));
}

/** The schema of an input with its values as the pipeline reads them, those in lists and objects included. The same one if it converts none. */
export const converted = (schema: z.ZodType): z.ZodType => convertedIn(schema, new Set());

/** @param above schemas that are being read: those of a tree contain themselves */
function convertedIn(schema: z.ZodType, above: ReadonlySet<z.ZodType>): z.ZodType {
  const inner = bare(schema);
  if (above.has(inner)) return schema;
  const own = madeBy(inner);
  const made = own === inner ? withParts(inner, new Set([...above, inner])) : own;
  if (made === inner) return schema;
  const orNull = takes(schema, null) ? made.nullable() : made;
  return takes(schema, undefined) ? orNull.optional() : orNull;
}

function withParts(schema: z.ZodType, above: ReadonlySet<z.ZodType>): z.ZodType {
  if (schema instanceof z.ZodArray) {
    const item = convertedIn(schema.element as z.ZodType, above);
    return item === schema.element ? schema : z.array(item);
  }
  if (!(schema instanceof z.ZodObject)) return schema;
  const shape = schema.shape as Readonly<Record<string, z.ZodType>>;
  const fields = Object.entries(shape).map(([key, field]) => [key, convertedIn(field, above)] as const);
  if (fields.every(([key, field]) => field === shape[key])) return schema;
  const { catchall } = schema.def;
  const object = z.object(Object.fromEntries(fields));
  return catchall === undefined ? object : object.catchall(catchall as z.ZodType);
}

/** Whether a schema takes null, or nothing. What the author’s function throws over it is a no. */
export function takes(schema: z.ZodType, nothing: null | undefined): boolean {
  try {
    return schema.safeParse(nothing).success;
  } catch {
    return false;
  }
}

/** Schema of what a schema makes of a value; itself if it makes no other. */
function madeBy(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) return converts(schema) ? madeBy(schema.def.out as z.ZodType) : schema;
  if (schema instanceof z.ZodTransform) return z.unknown();
  const { coerce } = schema.def as { readonly coerce?: boolean };
  if (!coerce) return schema;
  if (schema instanceof z.ZodNumber) return z.number();
  return schema instanceof z.ZodBoolean ? z.boolean() : z.string();
}
