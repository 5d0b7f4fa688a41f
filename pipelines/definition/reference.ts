import { z } from 'zod';
import type { Artifact } from '../artifact.js';
import { MillraceError } from '../errors.js';
import { isJsonObject, type Json } from '../json.js';
import { mediaOf } from '../media.js';
import { type Binding, sourcesOf } from '../plan/binding.js';

declare const TYPE: unique symbol;
interface Typed<T> {
  readonly [TYPE]: (value: T) => T;
}

/** A value that exists only while a run executes. Reading a field of it gives a reference to that field. */
export type Ref<T> = Typed<T> &
  (T extends readonly unknown[] | Artifact
    ? unknown
    : T extends object
      ? { readonly [K in keyof T]-?: Ref<Exclude<T[K], undefined>> }
      : unknown);

/** What a reference of type `T` can be used as: itself, where its type fits. */
export interface Assignable<T> {
  readonly [TYPE]: (value: never) => T;
}

/** What a stage's input accepts: a value, a reference to one, or a structure of both. */
export type Bind<T> =
  | T
  | Assignable<T>
  | (T extends readonly (infer Item)[]
      ? readonly Bind<Item>[]
      : T extends Artifact
        ? never
        : T extends object
          ? { readonly [K in keyof T]: Bind<T[K]> }
          : never);

/** The type of the value that a binding gives. */
export type Bound<B> = B extends Typed<infer T> ? T : B extends object ? { [K in keyof B]: Bound<B[K]> } : B;

const TARGET = Symbol('millrace.reference');
interface Target {
  readonly path: string;
  readonly schema: z.ZodType;
  readonly owner: Owner;
}

/** The pipeline that a reference belongs to; nothing but an identity. */
export type Owner = object;

const targetOf = (value: unknown): Target | undefined =>
  typeof value === 'object' && value !== null ? (value as { [TARGET]?: Target })[TARGET] : undefined;

/** A reference to `path`, whose fields are those of `schema`. */
export function reference<T>(path: string, schema: z.ZodType<T>, owner: Owner): Ref<T> {
  const target: Target = { path, schema, owner };
  return new Proxy(Object.freeze({}), {
    get: (_, key) => (key === TARGET ? target : typeof key === 'string' ? field(target, key) : undefined),
  }) as Ref<T>;
}

function field({ path, schema, owner }: Target, key: string): unknown {
  if (key === 'then' || key === 'toJSON') return undefined; // probed by `await` and JSON.stringify, never fields
  const shape =
    mediaOf(schema) === undefined && schema instanceof z.ZodObject ? (schema.shape as Record<string, z.ZodType>) : {};
  const inner = Object.hasOwn(shape, key) ? shape[key] : undefined;
  if (inner === undefined) {
    const known = Object.keys(shape).join(', ') || 'none';
    throw new MillraceError('INVALID_PIPELINE', `${path} has no field "${key}" (its fields: ${known})`, {
      fields: [{ field: `${path}.${key}`, message: 'unknown field' }],
    });
  }
  return reference(`${path}.${key}`, inner, owner);
}

/** The plan's form of what the author wrote. Throws `INVALID_PIPELINE` for what no plan can hold. */
export function toBinding(value: unknown, where: string, owner: Owner): Binding {
  const bind = (inner: unknown) => toBinding(inner, where, owner);
  const target = targetOf(value);
  if (target !== undefined) {
    if (target.owner !== owner) throw unusable(where, `${target.path} belongs to another pipeline`);
    return { $ref: target.path };
  }
  if (value instanceof Template) return { $text: value.parts.map(bind) };
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map(bind);
  if (isJsonObject(value as Json)) {
    const entries = Object.entries(value as object).filter(([, inner]) => inner !== undefined);
    const reserved = entries.find(([key]) => key.startsWith('$'));
    if (reserved === undefined) return Object.fromEntries(entries.map(([key, inner]) => [key, bind(inner)]));
    if (entries.some(([, inner]) => sourcesOf(bind(inner)).length > 0)) {
      throw unusable(where, `an object with the key "${reserved[0]}" is taken as it is and cannot hold references`);
    }
    return { $const: value as Json };
  }
  throw unusable(where, `a ${typeof value} cannot be part of a plan`);
}

const unusable = (where: string, message: string) =>
  new MillraceError('INVALID_PIPELINE', `${where}: ${message}`, { fields: [{ field: where, message }] });

/** JSON Schema of the value that a binding gives. */
export function schemaOf(value: unknown): Json {
  const target = targetOf(value);
  if (target !== undefined) return jsonSchema(target.schema);
  if (value instanceof Template) return { type: 'string' };
  if (Array.isArray(value)) return { type: 'array', prefixItems: value.map(schemaOf) };
  if (isJsonObject(value as Json)) {
    const fields = value as Record<string, unknown>;
    return {
      type: 'object',
      properties: Object.fromEntries(Object.entries(fields).map(([key, inner]) => [key, schemaOf(inner)])),
      required: Object.keys(fields),
    };
  }
  return { const: value as Json };
}

/** JSON Schema (2020-12) of what a caller sends (`input`) for, or reads from, a zod schema. */
export const jsonSchema = (schema: z.ZodType, io: 'input' | 'output' = 'output'): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest as Json;
};

class Template {
  constructor(readonly parts: readonly unknown[]) {}
}

/** Text with references in it: `` text`Translate ${heard.text}` ``. */
export function text(
  strings: TemplateStringsArray,
  ...values: Assignable<string | number | boolean>[]
): Assignable<string> {
  const parts = strings
    .flatMap((part, i) => (i < values.length ? [part, values[i]] : [part]))
    .filter((part) => part !== '');
  return new Template(parts) as unknown as Assignable<string>;
}
