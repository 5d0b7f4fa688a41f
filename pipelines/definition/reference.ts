import { z } from 'zod';
import type { Artifact } from '../artifact.js';
import { didYouMean } from '../did-you-mean.js';
import { isJsonObject, type Json } from '../json.js';
import { bare, type Tensor } from '../media.js';
import { type Binding, sourcesOf } from '../plan/binding.js';
import type { Operator } from '../plan/expression.js';
import { type Derivation, derivation, detached, entriesOf, type Stream, type StreamInput } from '../stream.js';
import { keepingAbsent } from './absent.js';
import { invalid } from './invalid.js';
import { fieldOf, fieldsOf, isUnknown, mayBeAbsent, union } from './schema.js';
import type { GraphScope } from './scope.js';

declare const TYPE: unique symbol;
interface Typed<T> {
  readonly [TYPE]: (value: T) => T;
}

/**
 * A value that exists only while a run executes. Reading a field returns a reference to that field. If the value may be
 * absent or null, so may its fields; `either` supplies a default.
 */
export type Ref<T> = Typed<T> & Fields<NonNullable<T>, Extract<T, null | undefined> extends never ? never : null>;

/** For a union, only the fields that all its members have. */
type Fields<T, Absent> = [T] extends [readonly unknown[] | Artifact | Tensor]
  ? unknown
  : [T] extends [object]
    ? { readonly [K in keyof T]-?: Ref<T[K] | Absent> }
    : unknown;

/** A reference whose type is assignable to `T`. */
export interface Assignable<T> {
  readonly [TYPE]: (value: never) => T;
}

/** What a stage's input accepts: a value, a reference to one, or a structure of both. */
export type Bind<T> =
  | T
  | Assignable<T>
  // A list does not fit: only what is made piece by piece is a stream.
  | (T extends StreamInput<infer Item>
      ? Assignable<Stream<Item>>
      : T extends readonly (infer Item)[]
        ? readonly Bind<Item>[]
        : T extends Artifact
          ? never
          : T extends object
            ? { readonly [K in keyof T]: Bind<T[K]> }
            : never);

/** Type of the value of a binding. */
export type Bound<B> = B extends Typed<infer T> ? T : B extends object ? { [K in keyof B]: Bound<B[K]> } : B;

const TARGET = Symbol('millrace.reference');

/** What a reference denotes: a value of the run's scope, an expression over others, or a text with others in it. */
type Target = { readonly schema: z.ZodType } & (
  | { readonly path: string; readonly scope: GraphScope }
  | { readonly op: Operator; readonly of: readonly unknown[] }
  | { readonly parts: readonly unknown[] }
);

const targetOf = (value: unknown): Target | undefined =>
  typeof value === 'object' && value !== null ? (value as { [TARGET]?: Target })[TARGET] : undefined;

export const isReference = (value: unknown): boolean => targetOf(value) !== undefined;

/** A reference to `path`, whose fields are those of `schema`. */
export const reference = <T>(path: string, schema: z.ZodType<T>, scope: GraphScope): Ref<T> =>
  proxy({ path, schema, scope });

/** A reference to the result of an operator. */
export const expression = <T>(op: Operator, of: readonly unknown[], schema: z.ZodType): Ref<T> =>
  proxy({ op, of, schema });

/** Node prints the result of this method of a proxy's target. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

const proxy = <T>(target: Target): Ref<T> =>
  new Proxy(
    { [INSPECT]: () => shown(target) },
    {
      get: (self, key) => {
        if (key === TARGET) return target;
        if (typeof key === 'string' && PROBED.has(key) && fieldsOf(target.schema).includes(key))
          throw unreadable(target, key);
        if (key === Symbol.toPrimitive) throw noValue(target, USE_OPERATORS);
        if (key === Symbol.iterator || key === Symbol.asyncIterator) throw noValue(target, 'iterate with each()');
        if (key === 'toJSON') {
          return () => {
            throw noValue(target, 'pass the reference itself: it becomes JSON in the run');
          };
        }
        // Probed by `await`; never a field.
        if (typeof key !== 'string' || key === 'then') return undefined;
        return field(target, key, self);
      },
      has: (_, key) => {
        if (typeof key !== 'string') return false;
        throw noValue(target, `has() tells in a run whether "${key}" is present`);
      },
      set: (_, key) => {
        throw noValue(target, `"${String(key)}" cannot be set; make an object of references`);
      },
      deleteProperty: (_, key) => {
        throw noValue(target, `"${String(key)}" cannot be deleted; make an object of references`);
      },
      // `{ ...input }`: its fields, each a reference.
      ownKeys: () => {
        const keys = fieldsOf(target.schema);
        if (keys.length > 0) return keys;
        throw noValue(target, 'its fields are not known, so it cannot be spread');
      },
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    },
  ) as unknown as Ref<T>;

/** What `await` and `JSON.stringify` ask every value for. */
const PROBED: ReadonlySet<string> = new Set(['then', 'toJSON']);

/** A field of such a name would be left out, or call what is no function. */
const unreadable = (target: Target, key: string) =>
  invalid(
    `${nameOf(target)}.${key}`,
    'cannot be read: JavaScript asks every value for a method of this name; give the field another one',
  );

const USE_OPERATORS = 'join texts with text`…`, compare with eq(), lt(), …, compute in a code() stage';

const nameOf = (target: Target): string => ('path' in target ? target.path : 'op' in target ? target.op : 'a template');

/** Longest displayed reference, in UTF-16 units. */
const LONGEST_SHOWN = 200;

/** A reference as `console.log` prints it: `Ref(answer.text)`, `Ref(eq(input.n, 1))`. */
function shown(target: Target): string {
  const text = spelled(target);
  return `Ref(${text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text})`;
}

function spelled(target: Target): string {
  if ('path' in target) return target.path;
  const part = (value: unknown): string => {
    const inner = targetOf(value);
    return inner ? spelled(inner) : (JSON.stringify(value) ?? String(value));
  };
  if ('op' in target) return `${target.op}(${target.of.map(part).join(', ')})`;
  return `text\`${target.parts.map((each) => (typeof each === 'string' ? each : `\${${part(each)}}`)).join('')}\``;
}

const noValue = (target: Target, instead: string) =>
  invalid(nameOf(target), `is a reference: it has no value before a run; ${instead}`);

/** Members of values that references lack, and what to use instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  map: 'each()',
  flatMap: 'each()',
  forEach: 'each()',
  filter: "each() with onFailure: 'drop', or a code() stage",
  length: 'size()',
  includes: 'contains()',
  at: 'at()',
  join: 'join()',
  concat: 'text`…`',
  toString: 'text`…`',
  valueOf: 'eq(), lt() and the other operators',
};

const insteadOf = (key: string): string | undefined => {
  if (Object.hasOwn(INSTEAD, key)) return INSTEAD[key];
  const isMethod = [String.prototype, Array.prototype, Number.prototype].some((each) => key in each);
  return isMethod ? 'a code() stage: a reference has no value before a run' : undefined;
};

function field(target: Target, key: string, self: unknown): unknown {
  const entries = key === 'entries' ? entriesOf(target.schema) : undefined;
  if (entries) return expression('entries', [proxy(target)], entries);
  const name = nameOf(target);
  const schema = fieldOf(target.schema, key);
  const instead = insteadOf(key);
  // A method's name is no field of a value of which nothing is known.
  if (schema === undefined || (instead !== undefined && isUnknown(target.schema))) {
    const known = fieldsOf(target.schema).join(', ') || 'none';
    const meant = instead === undefined ? didYouMean(key, fieldsOf(target.schema)) : `; use ${instead}`;
    throw invalid(`${name}.${key}`, `unknown field: ${name} has no field "${key}" (its fields: ${known})${meant}`);
  }
  if (key.includes('.')) {
    throw invalid(
      `${name}.${key}`,
      'cannot be read: dots separate the parts of a path, so a field name must not contain one',
    );
  }
  const own = () =>
    'path' in target
      ? reference(`${target.path}.${key}`, schema, target.scope)
      : expression('get', [proxy(target), key], schema);
  const ways = derivationsOf(schema);
  const derived = ways.filter((way) => way !== undefined);
  const [first] = derived;
  if (first === undefined) return own();
  const froms = [...new Set(derived.map(({ from }) => from))];
  const sources = froms.map((from) => (from === '' ? proxy(target) : field(target, from, self)));
  const source = sources.length === 1 ? sources[0] : expression('either', sources, z.unknown());
  const list = expression(first.of, [source], schema);
  // A derived list is no field of its value, and what has it as one may lack what others derive it from.
  return derived.length < ways.length ? expression('either', [own(), list], schema) : list;
}

/** How a field, which may be absent, is derived in each value that it may be a field of; undefined for a value that has the field itself. */
function derivationsOf(schema: z.ZodType): readonly (Derivation | undefined)[] {
  const inner = bare(schema);
  return inner instanceof z.ZodUnion ? (inner.options as z.ZodType[]).flatMap(derivationsOf) : [derivation(inner)];
}

type Shape = Readonly<Record<string, z.ZodType>>;

/**
 * Converts the author's value to its plan form. Throws `INVALID_PIPELINE` for values that a plan cannot hold.
 *
 * @param want what reads the value, if that is known: its optional fields stay absent where the value is
 */
export function toBinding(value: unknown, where: string, scope: GraphScope, want?: z.ZodType): Binding {
  const bind = (inner: unknown, of?: z.ZodType) => toBinding(inner, where, scope, of);
  const target = targetOf(value);
  if (target !== undefined) {
    if ('op' in target) {
      const binding = { $op: target.op, of: target.of.map((each) => bind(each)) };
      const mayLack = mayBeAbsent(target.schema) || isUnknown(target.schema);
      return want !== undefined && mayLack ? keepingAbsent(binding, want) : binding;
    }
    if ('parts' in target) return { $text: target.parts.map((each) => bind(each)) };
    const reason = scope.whyNot(target.scope);
    if (reason !== undefined) throw invalid(where, `cannot read ${target.path}: ${reason}`);
    return { $ref: target.path };
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const taken = want && bare(want);
  if (Array.isArray(value)) {
    const item = taken instanceof z.ZodArray ? (taken.element as z.ZodType) : undefined;
    return value.map((each) => bind(each, item));
  }
  if (isPlain(value)) {
    const shape: Shape = taken instanceof z.ZodObject ? (taken.shape as Shape) : {};
    const fieldIn = (key: string) => (Object.hasOwn(shape, key) ? shape[key] : undefined);
    const entries = Object.entries(value as object).filter(([, inner]) => inner !== undefined);
    const reserved = entries.find(([key]) => key.startsWith('$'));
    if (reserved === undefined)
      return Object.fromEntries(entries.map(([key, inner]) => [key, bind(inner, fieldIn(key))]));
    if (entries.some(([, inner]) => sourcesOf(bind(inner)).length > 0)) {
      throw invalid(where, `an object with the key "${reserved[0]}" is passed unchanged and cannot contain references`);
    }
    return { $const: value as Json };
  }
  throw invalid(where, `is ${describe(value)}, which cannot be part of a plan; a plan is JSON`);
}

/** Not a Date, Map or other class instance: JSON cannot restore it. */
const isPlain = (value: unknown): value is object =>
  isJsonObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);

function describe(value: unknown): string {
  if (value === undefined) return 'undefined';
  if (typeof value === 'object') return `a ${value?.constructor.name}`;
  return typeof value === 'number' ? `${value}` : `a ${typeof value}`;
}

/** Zod schema of a binding's value; constants by their types. */
export function schemaOf(value: unknown): z.ZodType {
  const target = targetOf(value);
  if (target !== undefined) return target.schema;
  if (typeof value === 'string') return z.string();
  if (typeof value === 'number') return z.number();
  if (typeof value === 'boolean') return z.boolean();
  if (Array.isArray(value)) return z.tuple(value.map(schemaOf) as [z.ZodType]);
  if (isJsonObject(value)) {
    return z.object(Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, detached(schemaOf(inner))])));
  }
  // A field that is undefined is not part of the value.
  return value === undefined ? z.null().optional() : z.null();
}

/**
 * Schema of a loop's state. The value that it begins with is one of many: an empty list is filled, and null or nothing becomes something,
 * of which nothing is known.
 */
export function stateSchemaOf(value: unknown): z.ZodType {
  if (isReference(value)) return schemaOf(value);
  if (value === null) return z.unknown();
  if (value === undefined) return z.unknown().optional();
  if (Array.isArray(value)) return z.array(value.length === 0 ? z.unknown() : union(value.map(stateSchemaOf)));
  if (!isJsonObject(value)) return schemaOf(value);
  return z.object(
    Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, detached(stateSchemaOf(inner))])),
  );
}

/** Text with embedded references: `` text`Translate ${heard.text}` ``. An absent value becomes an empty text. */
export function text(
  strings: TemplateStringsArray,
  ...values: Assignable<string | number | boolean | null | undefined>[]
): Ref<string> {
  const parts = strings
    .flatMap((part, i) => (i < values.length ? [part, values[i]] : [part]))
    .filter((part) => part !== '');
  return proxy<string>({ parts, schema: z.string() });
}
