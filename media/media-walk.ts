import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { isJsonObject, type Json } from '../pipelines/json.js';
import { bare, type MediaKind, mediaOf } from '../pipelines/media.js';

/** A field whose schema asks for media. */
export interface MediaField {
  readonly kind: MediaKind;
  /** Keys and indices from the top, joined by dots: `speaker.voice`, `clips.0`. */
  readonly path: string;
  readonly schema: z.ZodType;
}

/** Returns the replacement of a media value. */
export type TakeMedia = (value: Json, field: MediaField) => Promise<Json>;

/** Values that are walked in one turn of the event loop: a millisecond or two. */
const VALUES_OF_TURN = 1_000;

/**
 * Replaces every media value by the result of `take`, in order: in fields of objects, items of lists and tuples, values
 * of records, and members of unions. Values that do not fit the schema, and null, are left for validation. In a union,
 * a value that looks like media takes the first media member, any other value the first member whose literal fields
 * agree.
 */
export const mapMedia = (schema: z.ZodType, value: Json, take: TakeMedia, path = ''): Promise<Json> =>
  walked({ take, values: 0 }, schema, value, path);

interface Walk {
  readonly take: TakeMedia;
  /** Number of those that have been walked. */
  values: number;
}

async function walked(walk: Walk, schema: z.ZodType, value: Json, path: string): Promise<Json> {
  if (!holdsMedia(schema)) return value;
  walk.values += 1;
  if (walk.values % VALUES_OF_TURN === 0) await nextTurn();
  const inner = unwrapped(schema);
  const kind = mediaOf(inner);
  if (kind !== undefined)
    return value === null && schema.isNullable() ? value : await walk.take(value, { kind, path, schema: inner });
  if (inner instanceof z.ZodUnion) {
    const member = memberFor(inner.options as readonly z.ZodType[], value);
    return member === undefined ? value : await walked(walk, member, value, path);
  }
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const [i, item] of (value as readonly Json[]).entries()) {
      const of = childSchema(inner, String(i));
      items.push(of === undefined ? item : await walked(walk, of, item, joined(path, String(i))));
    }
    return items;
  }
  if (!isJsonObject(value)) return value;
  const fields: [string, Json][] = [];
  for (const [key, field] of Object.entries(value)) {
    const of = childSchema(inner, key);
    fields.push([key, of === undefined ? field : await walked(walk, of, field, joined(path, key))]);
  }
  return Object.fromEntries(fields);
}

/** The schema of a field or item, by key or index; undefined if the schema has none. */
function childSchema(schema: z.ZodType, key: string): z.ZodType | undefined {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject) {
    const shape = inner.shape as Readonly<Record<string, z.ZodType>>;
    return Object.hasOwn(shape, key) ? shape[key] : undefined;
  }
  if (inner instanceof z.ZodRecord) return inner.valueType as z.ZodType;
  if (!/^(0|[1-9]\d*)$/.test(key)) return undefined;
  if (inner instanceof z.ZodArray) return inner.element as z.ZodType;
  return inner instanceof z.ZodTuple ? (inner.def.items[Number(key)] as z.ZodType | undefined) : undefined;
}

/** The schemas of the value at a path: several below a union, none for an unknown path. */
export function schemasAt(schema: z.ZodType, path: readonly string[]): z.ZodType[] {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodUnion)
    return inner.options.flatMap((member) => schemasAt(member as unknown as z.ZodType, path));
  const [key, ...rest] = path;
  if (key === undefined) return [inner];
  const child = childSchema(inner, key);
  return child === undefined ? [] : schemasAt(child, rest);
}

/** Schemas may be recursive; media below this depth are not found. */
const MOST_LEVELS = 16;

/** All media fields of a schema; `*` stands for any index or key. */
export function mediaFields(schema: z.ZodType, path = '', above: readonly z.ZodType[] = []): MediaField[] {
  if (above.includes(schema) || above.length > MOST_LEVELS) return [];
  const inner = unwrapped(schema);
  const kind = mediaOf(inner);
  if (kind !== undefined) return [{ kind, path, schema: inner }];
  const below = (child: unknown, key: string) =>
    mediaFields(child as z.ZodType, key === '' ? path : joined(path, key), [...above, schema]);
  if (inner instanceof z.ZodObject) return Object.entries(inner.shape).flatMap(([key, field]) => below(field, key));
  if (inner instanceof z.ZodArray) return below(inner.element, '*');
  if (inner instanceof z.ZodRecord) return below(inner.valueType, '*');
  if (inner instanceof z.ZodTuple) return inner.def.items.flatMap((item, i) => below(item, String(i)));
  return inner instanceof z.ZodUnion ? inner.options.flatMap((member) => below(member, '')) : [];
}

const HOLDS_MEDIA = new WeakMap<z.ZodType, boolean>();

/** Whether a value can contain media; values that cannot are not walked. Cached per schema. */
function holdsMedia(schema: z.ZodType): boolean {
  const known = HOLDS_MEDIA.get(schema);
  if (known !== undefined) return known;
  const found = mediaFields(schema).length > 0;
  HOLDS_MEDIA.set(schema, found);
  return found;
}

const joined = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/** The schema without optional, read-only and lazy wrappers. */
function unwrapped(schema: z.ZodType): z.ZodType {
  const inner = bare(schema);
  return inner instanceof z.ZodReadonly || inner instanceof z.ZodLazy ? unwrapped(inner.unwrap() as z.ZodType) : inner;
}

function memberFor(members: readonly z.ZodType[], value: Json): z.ZodType | undefined {
  const refersToMedia = isJsonObject(value) && (typeof value.uri === 'string' || typeof value.base64 === 'string');
  const media = members.find((member) => mediaOf(unwrapped(member)) !== undefined);
  if (refersToMedia && media !== undefined) return media;
  return members.find((member) => {
    const inner = unwrapped(member);
    if (Array.isArray(value)) return inner instanceof z.ZodArray || inner instanceof z.ZodTuple;
    if (inner instanceof z.ZodUnion) return memberFor(inner.options as readonly z.ZodType[], value) !== undefined;
    if (!isJsonObject(value)) return false;
    return inner instanceof z.ZodRecord || (inner instanceof z.ZodObject && literalsAgree(inner, value));
  });
}

type Literals = readonly { readonly key: string; readonly values: ReadonlySet<unknown> }[];
const LITERALS = new WeakMap<z.ZodObject, Literals>();

/** The literal fields of a schema, by their values alone: refinements of a literal are not asked. Cached: each of thousands of parts of a conversation is compared with those of all kinds of parts. */
function literalsOf(schema: z.ZodObject): Literals {
  const known = LITERALS.get(schema);
  if (known !== undefined) return known;
  const fields = Object.entries(schema.shape as Readonly<Record<string, z.ZodType>>);
  const found = fields.flatMap(([key, field]) =>
    field instanceof z.ZodLiteral ? [{ key, values: field.values }] : [],
  );
  LITERALS.set(schema, found);
  return found;
}

const literalsAgree = (schema: z.ZodObject, value: Readonly<Record<string, Json>>): boolean =>
  literalsOf(schema).every(({ key, values }) => values.has(value[key]));
