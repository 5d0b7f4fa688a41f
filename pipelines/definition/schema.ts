import { z } from 'zod';
import type { Json } from '../json.js';
import { bare, mediaOf } from '../media.js';

/** Object schemas that a value may match: several for a union, none for a value without fields. */
function objectsOf(schema: z.ZodType): z.ZodObject[] {
  const inner = bare(schema);
  if (mediaOf(inner) !== undefined) return [];
  if (inner instanceof z.ZodObject) return [inner];
  return inner instanceof z.ZodUnion ? (inner.options as z.ZodType[]).flatMap(objectsOf) : [];
}

const isEmpty = (schema: z.ZodType): boolean => schema instanceof z.ZodNull || schema instanceof z.ZodUndefined;

/** The names of a value's fields. */
export const fieldsOf = (schema: z.ZodType): string[] => [
  ...new Set(objectsOf(schema).flatMap((object) => Object.keys(object.shape as object))),
];

/** Schema of a field; undefined when no object schema has it. */
export function fieldOf(schema: z.ZodType, key: string): z.ZodType | undefined {
  const objects = objectsOf(schema);
  const found = objects.flatMap(({ shape }) => (Object.hasOwn(shape, key) ? [shape[key] as z.ZodType] : []));
  if (found.length === 0) return undefined;
  const absent = found.length < objects.length || mayBeAbsent(schema);
  const joined = union(found);
  return absent ? joined.nullish() : joined;
}

/** One schema that accepts the values of several. */
export function union(schemas: readonly z.ZodType[]): z.ZodType {
  const [first, ...others] = [...new Set(schemas)].filter((schema) => !isEmpty(schema));
  const some = first === undefined ? z.null() : others.length === 0 ? first : z.union([first, ...others]);
  return schemas.some(isEmpty) && first !== undefined ? some.nullable() : some;
}

/** Whether a value that has passed the schema may be null or undefined; a default makes it present. */
export function mayBeAbsent(schema: z.ZodType): boolean {
  if (isEmpty(schema) || schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return true;
  return schema instanceof z.ZodUnion && (schema.options as z.ZodType[]).some(mayBeAbsent);
}

/** The schema of a list's items. */
export function itemOf(schema: z.ZodType): z.ZodType | undefined {
  const inner = bare(schema);
  if (inner instanceof z.ZodArray) return inner.element as z.ZodType;
  if (inner instanceof z.ZodTuple) return union(inner.def.items as z.ZodType[]);
  return undefined;
}

/** JSON Schema (2020-12) of what a caller sends (`input`) or receives (`output`). */
export const jsonSchema = (schema: z.ZodType, io: 'input' | 'output' = 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest as Json;
};
