import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../json.js';
import { sentences } from './sentences.js';

type Operation = (a: Json, b: Json, all: readonly Json[]) => Json;

/**
 * The pure expression language of conditions: `{ $op: name, of: [arguments] }` in a binding. Every operator is total:
 * an argument of the wrong type yields false, null, an empty text or list, never an error. An absent value is null.
 */
const OPERATIONS = {
  /** Deep equality of JSON values. */
  eq: (a, b) => same(a, b),
  ne: (a, b) => !same(a, b),
  /** Compares two numbers, or two texts by code unit. */
  lt: (a, b) => order(a, b) === -1,
  lte: (a, b) => order(a, b) === -1 || order(a, b) === 0,
  gt: (a, b) => order(a, b) === 1,
  gte: (a, b) => order(a, b) === 1 || order(a, b) === 0,
  and: (_a, _b, all) => all.every((value) => value === true),
  or: (_a, _b, all) => all.some((value) => value === true),
  not: (a) => a !== true,
  /** Whether the value is present, i.e. not null. */
  has: (a) => a !== null,
  /** Whether a text contains a text, or a list a value. */
  contains: (a, b) =>
    typeof a === 'string'
      ? typeof b === 'string' && a.includes(b)
      : Array.isArray(a) && a.some((item) => same(item as Json, b)),
  /** Length of a text in UTF-16 code units, or of a list. */
  size: (a) => (typeof a === 'string' || Array.isArray(a) ? a.length : 0),
  /** The first value that is not null. */
  either: (_a, _b, all) => all.find((value) => value !== null) ?? null,
  /** A field of an object. */
  get: (a, key) => (isJsonObject(a) && typeof key === 'string' && Object.hasOwn(a, key) ? (a[key] ?? null) : null),
  /** An item of a list; counted from the end when negative. */
  at: (a, i) => (Array.isArray(a) && typeof i === 'number' ? ((a.at(i) as Json | undefined) ?? null) : null),
  /** Joins the non-null items as texts with a separator. */
  join: (a, separator) =>
    Array.isArray(a)
      ? (a as readonly Json[])
          .filter((item) => item !== null)
          .map(asText)
          .join(asText(separator))
      : '',
  /** The sentences of a text: the collected form of a stream of sentences. */
  sentences: (a) => sentences(asText(a)),
  /** A list with the whole text: the collected form of a stream of tokens. */
  tokens: (a) => (asText(a) === '' ? [] : [asText(a)]),
  /** A list: the collected form of the entries of a function that yields. */
  entries: (a) => (Array.isArray(a) ? a : []),
  /** The pieces of a voice's audio, of its output: the collected form of their stream. All of it, if it was not made in pieces. */
  chunks: (a) => (isJsonObject(a) ? piecesOf(a) : []),
} as const satisfies Readonly<Record<string, Operation>>;

export type Operator = keyof typeof OPERATIONS;

export const OPERATORS: ReadonlySet<string> = new Set(Object.keys(OPERATIONS));

const piecesOf = ({ chunks, audio = null }: JsonObject): Json => {
  if (Array.isArray(chunks)) return chunks;
  return audio === null ? [] : [{ audio, number: 0, text: '', at: 0 }];
};

/** Evaluates an operator; null for one unknown to this release. */
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

/** A value as part of a text: null is empty, a structure is its JSON. */
export const asText = (value: Json): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
