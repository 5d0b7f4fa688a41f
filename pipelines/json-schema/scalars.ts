import { canonicalJson, isJsonObject, type Json } from '../json.js';
import { fitsFormat } from './formats.js';
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
  const types = names.map((name) => {
    const known = typeof name === 'string' && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    return known ?? reader.refuse(at, `must be of ${Object.keys(TYPES).join(', ')}`);
  });
  const wanted = types.map(({ called }) => called).join(' or ');
  return (value, check) => types.some(({ is }) => is(value)) || check.fail(`must be ${wanted}, not ${calledOf(value)}`);
};

/** Values listed in a message; the others are counted. */
const MOST_LISTED = 20;

/** Values are compared by their canonical text, which takes as long for one value as for a thousand. */
const oneOf = (values: readonly Json[]): Test => {
  const texts = new Set(values.map(canonicalJson));
  const listed = values.slice(0, MOST_LISTED).map((value) => JSON.stringify(value).slice(0, 100));
  if (values.length > MOST_LISTED) listed.push(`… (${values.length - MOST_LISTED} more)`);
  const wanted = `must be ${values.length === 1 ? '' : 'one of '}${listed.join(', ')}`;
  return (value, check) => {
    const text = canonicalJson(value);
    check.spend(Math.ceil(text.length / 64));
    return texts.has(text) || check.fail(wanted);
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

const counted =
  (size: (value: Json) => number | undefined, least: boolean, things: string): Keyword =>
  ({ given, at, reader }) => {
    const limit = countOf(given, at, reader);
    const message = `must have at ${least ? 'least' : 'most'} ${limit} ${things}`;
    return (value, check) => {
      const found = size(value);
      return found === undefined || (least ? found >= limit : found <= limit) || check.fail(message);
    };
  };

/** In Unicode characters, not in UTF-16 units. */
function lengthOf(value: Json): number | undefined {
  if (typeof value !== 'string') return undefined;
  let length = 0;
  for (const _ of value) length++;
  return length;
}
const itemsOf = (value: Json): number | undefined => (Array.isArray(value) ? value.length : undefined);
const fieldsOf = (value: Json): number | undefined => (isJsonObject(value) ? Object.keys(value).length : undefined);

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
  return (value, check) => typeof value !== 'string' || fitsFormat(name, value) || check.fail(`must be a ${name}`);
};

const uniqueItems: Keyword = ({ given }) =>
  given !== true
    ? undefined
    : (value, check) => {
        if (!Array.isArray(value)) return true;
        const texts = (value as readonly Json[]).map(canonicalJson);
        check.spend(Math.ceil(texts.reduce((sum, { length }) => sum + length, 0) / 64));
        return new Set(texts).size === texts.length || check.fail('has an item twice');
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
