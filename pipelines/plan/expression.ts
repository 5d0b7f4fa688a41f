import { canonicalJson, isJsonObject, type Json } from '../json.js';
import { sentences } from './sentences.js';

type Operation = (a: Json, b: Json, all: readonly Json[]) => Json;

/**
 * The pure language of conditions: `{ $op: name, of: [arguments] }` in a binding. Every operator is total: an argument of
 * the wrong type gives false, null, an empty text or list, never an error. What is absent is null.
 */
const OPERATIONS = {
  /** The same JSON value. */
  eq: (a, b) => same(a, b),
  ne: (a, b) => !same(a, b),
  /** Order of two numbers, or of two texts by code unit. */
  lt: (a, b) => order(a, b) === -1,
  lte: (a, b) => order(a, b) === -1 || order(a, b) === 0,
  gt: (a, b) => order(a, b) === 1,
  gte: (a, b) => order(a, b) === 1 || order(a, b) === 0,
  and: (_a, _b, all) => all.every((value) => value === true),
  or: (_a, _b, all) => all.some((value) => value === true),
  not: (a) => a !== true,
  /** Not null: the value is there. */
  has: (a) => a !== null,
  /** A text within a text, or a value within a list. */
  contains: (a, b) =>
    typeof a === 'string'
      ? typeof b === 'string' && a.includes(b)
      : Array.isArray(a) && a.some((item) => same(item as Json, b)),
  /** Length of a text in UTF-16 code units, or of a list. */
  size: (a) => (typeof a === 'string' || Array.isArray(a) ? a.length : 0),
  /** The first that is not null. */
  either: (_a, _b, all) => all.find((value) => value !== null) ?? null,
  /** A field of an object. */
  get: (a, key) => (isJsonObject(a) && typeof key === 'string' && Object.hasOwn(a, key) ? (a[key] ?? null) : null),
  /** An item of a list; from its end where negative. */
  at: (a, i) => (Array.isArray(a) && typeof i === 'number' ? ((a.at(i) as Json | undefined) ?? null) : null),
  /** The items that are not null as texts, with a separator between. */
  join: (a, separator) =>
    Array.isArray(a)
      ? (a as readonly Json[])
          .filter((item) => item !== null)
          .map(asText)
          .join(asText(separator))
      : '',
  /** The sentences of a text: what a stream of sentences has given when it has ended. */
  sentences: (a) => sentences(asText(a)),
  /** A list of the one text: what a stream of tokens has given when it is collected. */
  tokens: (a) => (asText(a) === '' ? [] : [asText(a)]),
} as const satisfies Readonly<Record<string, Operation>>;

export type Operator = keyof typeof OPERATIONS;

export const OPERATORS: ReadonlySet<string> = new Set(Object.keys(OPERATIONS));

/** Null for an operator that this release does not know. */
export const apply = (name: string, values: readonly Json[]): Json =>
  Object.hasOwn(OPERATIONS, name)
    ? (OPERATIONS[name as Operator] as Operation)(values[0] ?? null, values[1] ?? null, values)
    : null;

const same = (a: Json, b: Json): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && canonicalJson(a) === canonicalJson(b));

function order(a: Json, b: Json): -1 | 0 | 1 | undefined {
  const comparable = typeof a === typeof b && (typeof a === 'number' || typeof a === 'string');
  if (!comparable || a === null || b === null) return undefined;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A value as part of a text: null is nothing, a structure is its JSON. */
export const asText = (value: Json): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
