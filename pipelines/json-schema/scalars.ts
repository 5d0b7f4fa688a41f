import { canonicalJson, isJsonObject, type Json } from '../json.js';
import { ANY_SIZE, sizeOf } from './bounds.js';
import type { Check } from './check.js';
import { fitsFormat, isFormat, LONGEST_FORMATTED } from './formats.js';
import type { Keyword, KeywordReader } from './keyword.js';
import type { Test } from './node.js';

const TYPES: Readonly<Record<string, { readonly is: (value: Json) => boolean; readonly called: string }>> = {
  string: { is: (value) => typeof value === 'string', called: 'a string' },
  number: { is: (value) => typeof value === 'number', called: 'a number' },
  integer: { is: (value) => Number.isInteger(value), called: 'an integer' },
  boolean: { is: (value) => typeof value === 'boolean', called: 'a boolean' },
  null: { is: (value) => value === null, called: 'null' },
  array: { is: (value) => Array.isArray(value), called: 'a list' },
  object: { is: isJsonObject, called: 'an object' },
};

const calledOf = (value: Json): string =>
  Object.values(TYPES).find(({ is, called }) => called !== 'an integer' && is(value))?.called ?? 'nothing';

const type: Keyword = ({ given, at, reader }) => {
  const names = Array.isArray(given) ? (given as readonly Json[]) : [given];
  const named = names.map((name) => {
    const known = typeof name === 'string' && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    return known ?? reader.refuse(at, `must be of ${Object.keys(TYPES).join(', ')}`);
  });
  const types = [...new Set(named)];
  const wanted = types.map(({ called }) => called).join(' or ');
  return (value, check) => types.some(({ is }) => is(value)) || check.fail(`must be ${wanted}, not ${calledOf(value)}`);
};

/** Values listed in a message; the others are counted. */
const MOST_LISTED = 20;

const isPlain = (value: Json): boolean => typeof value !== 'object' || value === null;

/** Values of which the canonical text is made in the time of a step. */
const WRITTEN = 4;

/** What a value is compared by: itself if it is plain, otherwise its canonical text. Its time is spent before it is made. */
function comparable(value: Json, check: Check): Json {
  if (isPlain(value)) {
    if (typeof value === 'string') check.spendOnText(value.length);
    return value;
  }
  const { values, text } = sizeOf(value, ANY_SIZE);
  check.spend(Math.ceil(values / WRITTEN));
  check.spendOnText(text);
  return canonicalJson(value);
}

/** Compares with all values at once, which takes as long for one as for a thousand. */
const oneOf = (values: readonly Json[]): Test => {
  const plain = new Set(values.filter(isPlain));
  const texts = new Set<Json>(values.filter((value) => !isPlain(value)).map(canonicalJson));
  const listed = values.slice(0, MOST_LISTED).map((value) => JSON.stringify(value).slice(0, 100));
  if (values.length > MOST_LISTED) listed.push(`… (${values.length - MOST_LISTED} more)`);
  const wanted = `must be ${values.length === 1 ? '' : 'one of '}${listed.join(', ')}`;
  return (value, check) => {
    const known = isPlain(value) ? plain : texts;
    return (known.size > 0 && known.has(comparable(value, check))) || check.fail(wanted);
  };
};

const numberOf = (given: Json, at: string, reader: KeywordReader): number =>
  typeof given === 'number' ? given : reader.refuse(at, 'must be a number');

/** A keyword that compares numbers; those of lengths have the same form. */
const ofNumbers =
  (holds: (value: number, limit: number) => boolean, comparison: string): Keyword =>
  ({ given, at, reader }) => {
    const limit = numberOf(given, at, reader);
    return (value, check) =>
      typeof value !== 'number' || holds(value, limit) || check.fail(`must be ${comparison} ${limit}`);
  };

/** `exclusiveMinimum` and `exclusiveMaximum`: up to draft 4 a boolean beside the limit. */
const exclusive =
  (beside: string, holds: (value: number, limit: number) => boolean, comparison: string): Keyword =>
  (of) => {
    if (typeof of.given !== 'boolean') return ofNumbers(holds, comparison)(of);
    const limit = of.schema[beside];
    return of.given && limit !== undefined ? ofNumbers(holds, comparison)({ ...of, given: limit }) : undefined;
  };

/** Maximum distance of a floating point quotient from a whole number. */
const ROUNDING = 1e-9;
const isMultiple = (value: number, of: number): boolean => {
  const quotient = value / of;
  return Math.abs(quotient - Math.round(quotient)) <= ROUNDING * Math.max(1, Math.abs(quotient));
};

const countOf = (given: Json, at: string, reader: KeywordReader): number =>
  Number.isInteger(given) && (given as number) >= 0
    ? (given as number)
    : reader.refuse(at, 'must be a whole number from 0');

/** A size to be compared with a limit; undefined of a value that has none. */
type Size = (value: Json, limit: number, check: Check) => number | undefined;

const counted =
  (size: Size, least: boolean, things: string): Keyword =>
  ({ given, at, reader }) => {
    const limit = countOf(given, at, reader);
    const message = `must have at ${least ? 'least' : 'most'} ${limit} ${things}`;
    return (value, check) => {
      const found = size(value, limit, check);
      return found === undefined || (least ? found >= limit : found <= limit) || check.fail(message);
    };
  };

/** In Unicode characters, not in UTF-16 units. One has at most two units: they are counted only where that leaves the comparison open. */
function lengthOf(value: Json, limit: number, check: Check): number | undefined {
  if (typeof value !== 'string') return undefined;
  if (value.length < limit) return value.length;
  if (value.length > 2 * limit) return Math.ceil(value.length / 2);
  check.spendOnText(value.length);
  let length = 0;
  for (const _ of value) length++;
  return length;
}
const itemsOf = (value: Json): number | undefined => (Array.isArray(value) ? value.length : undefined);
function fieldsOf(value: Json, _: number, check: Check): number | undefined {
  if (!isJsonObject(value)) return undefined;
  const { length } = Object.keys(value);
  // Of a large object the list of names takes several times as long as to look at them.
  check.spendOnParts(4 * length);
  return length;
}

const pattern: Keyword = ({ given, at, reader }) => {
  const read = reader.pattern(given, at);
  return (value, check) => {
    if (typeof value !== 'string') return true;
    check.spendOnPattern(read.weight, value);
    return read.test(value) || check.fail(`must match ${String(given).slice(0, 200)}`);
  };
};

const format: Keyword = ({ given, at, reader }) => {
  const name = typeof given === 'string' ? given : reader.refuse(at, 'must be a string');
  if (!isFormat(name)) return undefined;
  return (value, check) => {
    if (typeof value !== 'string') return true;
    check.spendOnText(Math.min(value.length, LONGEST_FORMATTED));
    return fitsFormat(name, value) || check.fail(`must be a ${name}`);
  };
};

const uniqueItems: Keyword = ({ given }) =>
  given !== true
    ? undefined
    : (value, check) => {
        if (!Array.isArray(value)) return true;
        check.spendOnParts(value.length);
        const plain = new Set<Json>();
        const texts = new Set<Json>();
        for (const item of value as readonly Json[]) {
          const known = isPlain(item) ? plain : texts;
          const { size } = known;
          if (known.add(comparable(item, check)).size === size) return check.fail('has an item twice');
        }
        return true;
      };

export const SCALARS: Readonly<Record<string, Keyword>> = {
  type,
  const: ({ given, reader }) => {
    reader.countValues([given]);
    return oneOf([given]);
  },
  enum: ({ given, at, reader }) => {
    const values = Array.isArray(given) ? (given as readonly Json[]) : reader.refuse(at, 'must be a list of values');
    reader.countValues(values);
    return oneOf(values);
  },
  minimum: ofNumbers((value, limit) => value >= limit, 'at least'),
  maximum: ofNumbers((value, limit) => value <= limit, 'at most'),
  exclusiveMinimum: exclusive('minimum', (value, limit) => value > limit, 'more than'),
  exclusiveMaximum: exclusive('maximum', (value, limit) => value < limit, 'less than'),
  multipleOf: (of) => {
    if (numberOf(of.given, of.at, of.reader) <= 0) of.reader.refuse(of.at, 'must be above 0');
    return ofNumbers(isMultiple, 'a multiple of')(of);
  },
  minLength: counted(lengthOf, true, 'characters'),
  maxLength: counted(lengthOf, false, 'characters'),
  minItems: counted(itemsOf, true, 'items'),
  maxItems: counted(itemsOf, false, 'items'),
  minProperties: counted(fieldsOf, true, 'fields'),
  maxProperties: counted(fieldsOf, false, 'fields'),
  pattern,
  format,
  uniqueItems,
};
