import { z } from 'zod';
import type { Json } from '../json.js';
import { bare, mediaOf } from '../media.js';

/** What is known of the fields of a value of one shape. */
interface Fields {
  readonly names: readonly string[];
  /** Schema of a field; undefined if values of the shape do not have it. */
  of(name: string): z.ZodType | undefined;
}

/** The shapes that a value may have: several for a union, none for a value without fields. */
function shapesOf(schema: z.ZodType): readonly Fields[] {
  const inner = plain(schema);
  if (mediaOf(inner) !== undefined) return [];
  if (inner instanceof z.ZodObject) return [ofObject(inner)];
  if (inner instanceof z.ZodRecord) return [ofRecord(inner)];
  if (inner instanceof z.ZodUnknown || inner instanceof z.ZodAny) return [OF_ANYTHING];
  if (inner instanceof z.ZodUnion) return (inner.options as z.ZodType[]).flatMap(shapesOf);
  if (!(inner instanceof z.ZodIntersection)) return [];
  const others = shapesOf(inner.def.right as z.ZodType);
  return shapesOf(inner.def.left as z.ZodType).flatMap((one) => others.map((other) => both(one, other)));
}

function ofObject({ shape }: z.ZodObject): Fields {
  const fields = shape as Readonly<Record<string, z.ZodType>>;
  return { names: Object.keys(fields), of: (name) => (Object.hasOwn(fields, name) ? fields[name] : undefined) };
}

/** Any field of a record may be there; of one whose keys are an enum, these are. */
function ofRecord(record: z.ZodRecord): Fields {
  const value = record.valueType as z.ZodType;
  const { values } = (record.keyType as unknown as z.ZodType)._zod;
  const { partial } = record.def as { readonly partial?: boolean };
  if (values === undefined || partial) return { names: [], of: () => value.nullish() };
  const names = [...values].map(String);
  return { names, of: (name) => (names.includes(name) ? value : undefined) };
}

const OF_ANYTHING: Fields = { names: [], of: () => z.unknown() };

const both = (one: Fields, other: Fields): Fields => ({
  names: [...one.names, ...other.names],
  of(name) {
    // An open record answers for every name, an object for its own.
    const [first, second] = other.names.includes(name) && !one.names.includes(name) ? [other, one] : [one, other];
    return first.of(name) ?? second.of(name);
  },
});

/** The schema without wrappers: of values that it has produced. */
function plain(schema: z.ZodType): z.ZodType {
  const inner = bare(schema);
  if (inner instanceof z.ZodPipe) return plain(inner.def.out as z.ZodType);
  const wraps =
    inner instanceof z.ZodReadonly ||
    inner instanceof z.ZodLazy ||
    inner instanceof z.ZodCatch ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodNonOptional;
  return wraps ? plain(inner.unwrap() as z.ZodType) : inner;
}

/** Whether nothing is known of a value. */
export const isUnknown = (schema: z.ZodType): boolean => shapesOf(schema).includes(OF_ANYTHING);

const isEmpty = (schema: z.ZodType): boolean => schema instanceof z.ZodNull || schema instanceof z.ZodUndefined;

/** The names of a value's fields, as far as they are known. */
export const fieldsOf = (schema: z.ZodType): string[] => [...new Set(shapesOf(schema).flatMap(({ names }) => names))];

/** Schema of a field; undefined when no shape of the value has it. */
export function fieldOf(schema: z.ZodType, key: string): z.ZodType | undefined {
  const shapes = shapesOf(schema);
  const found = shapes.flatMap((shape) => shape.of(key) ?? []);
  if (found.length === 0) return undefined;
  const absent = found.length < shapes.length || mayBeAbsent(schema);
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

/** The schema of a value that is known to be present. */
export function presentOf(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return presentOf(schema.unwrap() as z.ZodType);
  if (!(schema instanceof z.ZodUnion) || !mayBeAbsent(schema)) return schema;
  return union((schema.options as z.ZodType[]).map(presentOf).filter((option) => !isEmpty(option)));
}

/** The schema of a list's items. */
export function itemOf(schema: z.ZodType): z.ZodType | undefined {
  const inner = plain(schema);
  if (inner instanceof z.ZodUnknown || inner instanceof z.ZodAny) return z.unknown();
  if (inner instanceof z.ZodArray) return inner.element as z.ZodType;
  if (inner instanceof z.ZodTuple) return union(inner.def.items as z.ZodType[]);
  return undefined;
}

/** JSON Schema (2020-12) of what a caller sends (`input`) or receives (`output`). */
export const jsonSchema = (schema: z.ZodType, io: 'input' | 'output' = 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest as Json;
};
