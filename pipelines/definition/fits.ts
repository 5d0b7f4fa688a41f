import { z } from 'zod';
import { didYouMean } from '../did-you-mean.js';
import { isJsonObject } from '../json.js';
import { bare, isMediaKind, type MediaKind, mediaOf } from '../media.js';
import { isStream, streamedInputs, streamedItem } from '../stream.js';
import { isReference, schemaOf } from './reference.js';
import { itemOf, mayBeAbsent } from './schema.js';

/** Where a value does not fit, and why: `path` is `.field` below the value, or empty. */
export interface Misfit {
  readonly path: string;
  readonly why: string;
}

export interface Lenience {
  /** A value that may be null or absent is checked as if it were present. */
  readonly absent?: boolean;
  /** A referenced object may have fields that the schema refuses: they are left out, or no run checks them. */
  readonly stray?: boolean;
}

/**
 * Why a bound value can never satisfy `want`; undefined when it may. The compiler reports the same to typed authors;
 * this check covers JavaScript, casts and constants that violate a schema's rules. Unknown types are accepted.
 *
 * @param lets what else a value may be
 */
export function misfit(value: unknown, want: z.ZodType, lets: Lenience = {}): Misfit | undefined {
  if (streamedItem(want)) {
    const streams = isReference(value) && isStream(schemaOf(value));
    return streams ? between(schemaOf(value), want, lets) : { path: '', why: NO_STREAM };
  }
  if (isReference(value)) return between(schemaOf(value), want, lets);
  if (!holdsReference(value))
    return missingField(value, want) ?? constantStream(value, want) ?? constant(value, want) ?? strayField(value, want);
  const inner = bare(want);
  if (Array.isArray(value)) {
    if (!overlap(['list'], inner)) return { path: '', why: `is a list where ${namesOf(inner)} is needed` };
    const item = inner instanceof z.ZodArray ? (inner.element as z.ZodType) : undefined;
    return item && first(value, (each, i) => within(misfit(each, item, lets), `[${i}]`));
  }
  if (!overlap(['object', 'tensor'], inner)) {
    return { path: '', why: `is an object where ${namesOf(inner)} is needed` };
  }
  if (inner instanceof z.ZodRecord) {
    const of = inner.valueType as z.ZodType;
    return first(Object.entries(value as object), ([key, each]) => within(misfit(each, of, lets), `.${key}`));
  }
  if (!(inner instanceof z.ZodObject)) return undefined;
  const given = Object.entries(value as object).filter(([, each]) => each !== undefined);
  const shape = shapeFor(
    inner,
    given.map(([key]) => key),
  );
  if (!shape) return strayField(value, inner) ?? oneOf(choicesOf(inner));
  return (
    strayField(value, inner) ??
    missing(shape, (key) => given.some(([name]) => name === key)) ??
    first(given, ([key, each]) => within(shape[key] && misfit(each, shape[key], lets), `.${key}`))
  );
}

/** The fields of an object that has exactly one of several; empty if any may be there. */
const choicesOf = (object: z.ZodObject): readonly string[] => (object.meta()?.exactlyOne as string[] | undefined) ?? [];

const oneOf = (choices: readonly string[]): Misfit => ({ path: '', why: `takes exactly one of ${choices.join(', ')}` });

/** What the fields that are given must be: where one of several is chosen, it is no longer optional. Undefined if none or several are. */
function shapeFor(object: z.ZodObject, given: readonly string[]): Shape | undefined {
  const shape = object.shape as Shape;
  const choices = choicesOf(object);
  if (choices.length === 0) return shape;
  const [only, ...more] = given.filter((key) => choices.includes(key));
  if (only === undefined || more.length > 0) return undefined;
  return { ...shape, [only]: bare(shape[only] as z.ZodType) };
}

function missingField(value: unknown, want: z.ZodType): Misfit | undefined {
  const inner = bare(want);
  if (!isJsonObject(value) || !(inner instanceof z.ZodObject)) return undefined;
  return missing(inner.shape as Shape, (key) => value[key] !== undefined);
}

const NO_STREAM =
  'is a list where a stream is needed; pass a stream, as answer.sentences, or the entries of a codeStream()';

/** No constant is made piece by piece. */
function constantStream(value: unknown, want: z.ZodType): Misfit | undefined {
  const field = [...streamedInputs(bare(want)).keys()].find((key) => isJsonObject(value) && value[key] !== undefined);
  return field === undefined ? undefined : { path: `.${field}`, why: NO_STREAM };
}

/** A field that an object schema does not have: zod would drop it silently. */
function strayField(value: unknown, want: z.ZodType): Misfit | undefined {
  const inner = bare(want);
  if (!isJsonObject(value) || !(inner instanceof z.ZodObject)) return undefined;
  if (inner.def.catchall !== undefined && !(inner.def.catchall instanceof z.ZodNever)) return undefined;
  const shape = inner.shape as Shape;
  const stray = Object.keys(value).find((key) => value[key] !== undefined && !Object.hasOwn(shape, key));
  return stray === undefined ? undefined : noField(stray, shape);
}

/** Pairs of object schemas whose comparison has begun: those of a tree contain themselves. */
type Compared = (readonly [z.ZodType, z.ZodType])[];

/** Why a value of one schema can never be one of another. */
function between(have: z.ZodType, want: z.ZodType, lets: Lenience, above: Compared = []): Misfit | undefined {
  if (have === want) return undefined;
  const [given, taken] = [bare(have), bare(want)];
  if (!overlap(basesOf(given), want)) {
    return { path: '', why: `is ${namesOf(given)} where ${namesOf(taken)} is needed` };
  }
  if (!lets.absent && mayBeAbsent(have) && !takesAbsent(want)) {
    return {
      path: '',
      why: 'may be absent; give it a default with either(), or use present() where it is known to be present',
    };
  }
  const format = formatMisfit(given, taken);
  if (format !== undefined) return { path: '', why: format };
  const items = [itemOf(given), taken instanceof z.ZodArray ? (taken.element as z.ZodType) : undefined] as const;
  if (items[0] && items[1]) return within(between(items[0], items[1], lets, above), '[]');
  if (!(given instanceof z.ZodObject && taken instanceof z.ZodObject)) return undefined;
  if (above.some(([one, other]) => one === given && other === taken)) return undefined;
  above.push([given, taken]);
  const from = given.shape as Shape;
  const choices = choicesOf(taken);
  if (choices.length > 0 && !choices.some((key) => Object.hasOwn(from, key))) return oneOf(choices);
  // Of several it may have any one.
  const to = shapeFor(taken, Object.keys(from)) ?? (taken.shape as Shape);
  return (
    missing(to, (key) => Object.hasOwn(from, key)) ??
    (lets.stray ? undefined : refused(from, taken)) ??
    first(Object.keys(to), (key) => {
      const [a, b] = [from[key], to[key]];
      return a && b && within(between(a, b, lets, above), `.${key}`);
    })
  );
}

/** A field that is always there, and that a strict object refuses. */
function refused(from: Shape, { shape, def: { catchall } }: z.ZodObject): Misfit | undefined {
  if (!(catchall instanceof z.ZodNever)) return undefined;
  const stray = Object.keys(from).find((key) => !Object.hasOwn(shape, key) && !mayBeAbsent(from[key] as z.ZodType));
  return stray === undefined ? undefined : noField(stray, shape as Shape);
}

/** What a schema takes that can never take an object; undefined for any other. */
export function noObject(schema: z.ZodType): string | undefined {
  const others: readonly Base[] = ['text', 'number', 'boolean', 'list', 'nothing'];
  return basesOf(schema).every((base) => others.includes(base)) ? namesOf(schema) : undefined;
}

type Shape = Readonly<Record<string, z.ZodType>>;

function constant(value: unknown, want: z.ZodType): Misfit | undefined {
  try {
    const { error } = want.safeParse(value);
    const [issue] = error?.issues ?? [];
    if (!issue) return undefined;
    if (issue.code === 'unrecognized_keys') {
      if (issue.path.length === 0) return strayField(value, want) ?? { path: `.${issue.keys[0]}`, why: NOT_A_FIELD };
      return { path: `.${[...issue.path, issue.keys[0]].map(String).join('.')}`, why: NOT_A_FIELD };
    }
    const path = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
    return { path, why: `does not fit: ${issue.message}` };
  } catch {
    // A schema with asynchronous rules is checked during the run.
    return undefined;
  }
}

const BASES = {
  string: 'text',
  template_literal: 'text',
  number: 'number',
  int: 'number',
  boolean: 'boolean',
  array: 'list',
  tuple: 'list',
  object: 'object',
  record: 'object',
  null: 'nothing',
  undefined: 'nothing',
  void: 'nothing',
} as const;
type Base = (typeof BASES)[keyof typeof BASES] | MediaKind | 'tensor' | 'any';

/** Base types of a schema's values, as far as the schema determines them. */
function basesOf(schema: z.ZodType): readonly Base[] {
  const media = mediaOf(schema);
  const meta = bare(schema).meta();
  const empty: readonly Base[] = mayBeAbsent(schema) ? ['nothing'] : [];
  if (media !== undefined) return [media, ...empty];
  if (meta?.tensor !== undefined) return ['tensor', ...empty];
  const inner = bare(schema);
  if (inner instanceof z.ZodUnion) return [...(inner.options as z.ZodType[]).flatMap(basesOf), ...empty];
  if (inner instanceof z.ZodLiteral) return [...[...inner.values].map(baseOfValue), ...empty];
  if (inner instanceof z.ZodEnum) return [...inner.options.map(baseOfValue), ...empty];
  const base = (BASES as Readonly<Record<string, Base>>)[inner.def.type] ?? 'any';
  return [base, ...empty];
}

/** Whether a schema accepts an absent value. */
const takesAbsent = (schema: z.ZodType): boolean =>
  schema.isOptional() || schema.isNullable() || basesOf(schema).includes('any');

const baseOfValue = (value: unknown): Base =>
  (BASES as Readonly<Record<string, Base>>)[value === null ? 'null' : typeof value] ?? 'any';

function overlap(given: readonly Base[], want: z.ZodType): boolean {
  const taken = basesOf(want);
  // A loosely declared object schema accepts tensors and media.
  const wide = (base: Base): boolean => base === 'tensor' || isMediaKind(base);
  const meets = (a: Base, b: Base) =>
    a === b ||
    a === 'any' ||
    b === 'any' ||
    (a === 'object' && b === 'tensor') ||
    (wide(a) && b === 'object') ||
    isOfFile(a, b);
  const isOfFile = (a: Base, b: Base) => (a === 'file' && isMediaKind(b)) || (b === 'file' && isMediaKind(a));
  return given.some((a) => taken.some((b) => meets(a, b)));
}

/** Mismatch of two known formats: audio, tensors, sets of labels. */
function formatMisfit(given: z.ZodType, taken: z.ZodType): string | undefined {
  const [from, to] = [given.meta() ?? {}, taken.meta() ?? {}];
  if (from.media === 'audio' && to.media === 'audio') {
    const key = (['rate', 'channels', 'encoding'] as const).find(
      (each) => from[each] !== undefined && to[each] !== undefined && from[each] !== to[each],
    );
    return key && `is audio of ${key} ${String(from[key])} where ${key} ${String(to[key])} is needed`;
  }
  if ((from.tensor && to.tensorFile) || (from.tensorFile && to.tensor)) {
    const [is, needed] = from.tensor ? ['by value', 'by reference'] : ['by reference', 'by value'];
    return `is a tensor ${is} where one ${needed} is needed: \`file\` of tensor() decides`;
  }
  const [own, wanted] = [from.tensor ?? from.tensorFile, to.tensor ?? to.tensorFile];
  if (own && wanted) {
    const [a, b] = [own, wanted] as { dtype: string; shape: readonly number[] }[];
    if (!a || !b) return undefined;
    const same =
      a.shape.length === b.shape.length &&
      a.shape.every((size, i) => size === -1 || b.shape[i] === -1 || size === b.shape[i]);
    if (a.dtype === b.dtype && same) return undefined;
    return `is a ${a.dtype} tensor [${a.shape}] where ${b.dtype} [${b.shape}] is needed`;
  }
  if (given instanceof z.ZodEnum && taken instanceof z.ZodEnum) {
    const stray = given.options.find((label) => !taken.options.includes(label));
    return stray === undefined ? undefined : `may be "${stray}", which is not one of ${taken.options.join(', ')}`;
  }
  return undefined;
}

const ARTICLES: Readonly<Record<Base, string>> = {
  text: 'text',
  number: 'a number',
  boolean: 'a boolean',
  list: 'a list',
  object: 'an object',
  audio: 'audio',
  image: 'an image',
  video: 'a video',
  file: 'a file',
  tensor: 'a tensor',
  nothing: 'null',
  any: 'any value',
};
const namesOf = (schema: z.ZodType): string => [...new Set(basesOf(schema).map((base) => ARTICLES[base]))].join(' or ');

const NOT_A_FIELD = 'is not one of its fields';
const noField = (key: string, shape: Shape): Misfit => ({
  path: `.${key}`,
  why: `${NOT_A_FIELD}: ${Object.keys(shape).join(', ') || 'none'}${didYouMean(key, Object.keys(shape))}`,
});

function missing(shape: Shape, has: (key: string) => boolean): Misfit | undefined {
  const key = Object.keys(shape).find((name) => !has(name) && !takesAbsent(shape[name] as z.ZodType));
  if (key === undefined) return undefined;
  return { path: `.${key}`, why: `is missing; it must be ${namesOf(shape[key] as z.ZodType)}` };
}

function holdsReference(value: unknown): boolean {
  if (isReference(value)) return true;
  if (Array.isArray(value)) return value.some(holdsReference);
  return isJsonObject(value) && Object.values(value).some(holdsReference);
}

const within = (found: Misfit | undefined, path: string): Misfit | undefined =>
  found && { ...found, path: `${path}${found.path}` };

function first<T>(all: readonly T[], find: (item: T, i: number) => Misfit | undefined): Misfit | undefined {
  for (const [i, item] of all.entries()) {
    const found = find(item, i);
    if (found) return found;
  }
  return undefined;
}
