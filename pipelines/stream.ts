import { z } from 'zod';

/**
 * A stream's values, collected in a list. A stage that can process pieces as they arrive accepts the stream where it
 * accepts the whole. A list is not a stream, since nothing produces it piece by piece.
 */
export type Stream<T> = readonly T[] & { readonly 'is a stream, as answer.sentences': true };

/** A stream as a function reads it: its entries in order, each as soon as it arrives. It can be read once. */
export interface StreamInput<T> extends AsyncIterable<T> {
  /** Type only, and what the compiler says of a list. */
  readonly 'pass a stream, as answer.sentences or entries of a codeStream': T;
}

type Derived = 'sentences' | 'tokens' | 'entries' | 'chunks';

/** Schema of a stream derived from the text, or from the list, in the field `from`; empty: from the whole value. */
export const stream = <T = string>(
  of: Derived,
  from: string,
  item: z.ZodType<T> = z.string() as unknown as z.ZodType<T>,
): z.ZodType<Stream<T>> => z.array(item).meta({ derived: { of, from } }) as unknown as z.ZodType<Stream<T>>;

/**
 * Schema of a field that a function reads as a stream: an `AsyncIterable` of values of `item`.
 *
 * ```ts
 * const count = code('count', { input: z.object({ lines: streamOf(z.string()) }), output: z.object({ n: z.number() }) },
 *   async ({ lines }) => { let n = 0; for await (const line of lines) n += line.length; return { n }; });
 * ```
 */
export const streamOf = <T>(item: z.ZodType<T>): z.ZodType<StreamInput<T>> =>
  z.array(item).meta({ stream: true }) as unknown as z.ZodType<StreamInput<T>>;

/** The schema of a stream's entries, if a field is read as a stream. */
export const streamedItem = (schema: z.ZodType): z.ZodType | undefined =>
  schema.meta()?.stream === true && schema instanceof z.ZodArray ? (schema.element as z.ZodType) : undefined;

/** The fields of a function's input that it reads as streams, each with the schema of an entry. */
export function streamedInputs(input: z.ZodType): ReadonlyMap<string, z.ZodType> {
  if (!(input instanceof z.ZodObject)) return new Map();
  const fields = Object.entries(input.shape as Readonly<Record<string, z.ZodType>>);
  return new Map(
    fields.flatMap(([field, schema]) => {
      const item = streamedItem(schema);
      return item === undefined ? [] : [[field, item] as const];
    }),
  );
}

const lists = new WeakSet<z.ZodType>();

/** A list whose values are also a stream, `entries`. */
export function streamed(list: z.ZodArray): z.ZodArray {
  // Not as metadata: the schema is shown to callers.
  lists.add(list);
  return list;
}

/** The schema of the stream `entries` of such a list; undefined for any other value. */
export const entriesOf = (schema: z.ZodType): z.ZodType | undefined =>
  lists.has(schema) && schema instanceof z.ZodArray ? stream('entries', '', schema.element as z.ZodType) : undefined;

/** How the list of a stream is made from another field of the value that it is a field of; from the value itself if `from` is empty. */
export interface Derivation {
  readonly of: Derived;
  readonly from: string;
}

/** How a field is derived from another one; undefined when it is not. */
export const derivation = (schema: z.ZodType): Derivation | undefined =>
  schema.meta()?.derived as Derivation | undefined;

/** Schemas of lists that are streams elsewhere, by the schemas that they have there. */
const detachedLists = new WeakMap<z.ZodType, z.ZodArray>();
const collected = new WeakSet<z.ZodType>();

/**
 * The schema of a value that an author makes a field of an object: the list of a stream is then that field, and no longer derived from the field
 * that was beside it where it was made.
 */
export function detached(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) {
    const inner = schema.unwrap() as z.ZodType;
    const own = detached(inner);
    if (own === inner) return schema;
    return schema instanceof z.ZodOptional ? own.optional() : own.nullable();
  }
  if (schema instanceof z.ZodUnion) {
    const options = schema.options as readonly z.ZodType[];
    const own = options.map(detached);
    return own.every((option, i) => option === options[i]) ? schema : z.union(own);
  }
  if (!(schema instanceof z.ZodArray) || derivation(schema) === undefined) return schema;
  const list = detachedLists.get(schema) ?? z.array(schema.element as z.ZodType);
  detachedLists.set(schema, list);
  collected.add(list);
  return list;
}

/** Whether a value is a stream: one that is derived from a field beside it, or the list of one. */
export const isStream = (schema: z.ZodType): boolean =>
  schema instanceof z.ZodUnion
    ? (schema.options as readonly z.ZodType[]).every(isStream)
    : collected.has(schema) || derivation(schema) !== undefined;
