import { z } from 'zod';
import { type Assignable, expression, type Ref, schemaOf } from './reference.js';
import { itemOf, presentOf, union } from './schema.js';

/** A value or a reference to one. */
export type Value<T> = T | Assignable<T>;

type Scalar = string | number | boolean | null | undefined;
type Truth = Value<boolean | null | undefined>;

const truth = (
  op: 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte' | 'and' | 'or' | 'not' | 'has' | 'contains',
  of: unknown[],
) => expression<boolean>(op, of, z.boolean());

/** Whether two values are equal. */
export const eq = <T extends Scalar>(a: Value<T>, b: Value<T>): Ref<boolean> => truth('eq', [a, b]);
/** Whether two values differ. */
export const ne = <T extends Scalar>(a: Value<T>, b: Value<T>): Ref<boolean> => truth('ne', [a, b]);

type Ordered<T> = Value<T | null | undefined>;
/** Compares two numbers, or two texts by code unit; false when either is absent. */
export const lt = <T extends number | string>(a: Ordered<T>, b: Ordered<T>): Ref<boolean> => truth('lt', [a, b]);
/** Less than or equal; compares as `lt`. */
export const lte = <T extends number | string>(a: Ordered<T>, b: Ordered<T>): Ref<boolean> => truth('lte', [a, b]);
/** Greater than; compares as `lt`. */
export const gt = <T extends number | string>(a: Ordered<T>, b: Ordered<T>): Ref<boolean> => truth('gt', [a, b]);
/** Greater than or equal; compares as `lt`. */
export const gte = <T extends number | string>(a: Ordered<T>, b: Ordered<T>): Ref<boolean> => truth('gte', [a, b]);

/** An absent value counts as false. */
export const and = (...all: Truth[]): Ref<boolean> => truth('and', all);
/** Whether any condition holds; an absent value counts as false. */
export const or = (...all: Truth[]): Ref<boolean> => truth('or', all);
/** Negation; an absent value counts as false. */
export const not = (a: Truth): Ref<boolean> => truth('not', [a]);

/** Whether an optional value is present. */
export const has = (a: Assignable<unknown>): Ref<boolean> => truth('has', [a]);

/** Whether a text contains a text, or a list contains a value. */
export function contains(text: Value<string | null | undefined>, part: Value<string>): Ref<boolean>;
export function contains<T>(list: Value<readonly T[] | null | undefined>, item: Value<T>): Ref<boolean>;
export function contains(a: unknown, b: unknown): Ref<boolean> {
  return truth('contains', [a, b]);
}

/** Length of a text in UTF-16 code units, or of a list; 0 when absent. */
export const size = (a: Value<string | readonly unknown[] | null | undefined>): Ref<number> =>
  expression('size', [a], z.number());

/** The first of two values that is present. */
export const either = <A, B>(a: Assignable<A>, b: Value<B>): Ref<NonNullable<A> | B> =>
  expression('either', [a, b], union([presentOf(schemaOf(a)), schemaOf(b)]));

/**
 * An optional value that is known to be present, as inside a branch whose condition tests it. If it is absent, the
 * stage that reads it fails with `INVALID_INPUT`.
 */
export const present = <T>(a: Assignable<T>): Ref<NonNullable<T>> => expression('either', [a], presentOf(schemaOf(a)));

/** Item of a list by index, counted from the end when negative; null when out of range. */
export const at = <T>(list: Assignable<readonly T[]>, index: Value<number>): Ref<T | null> =>
  expression('at', [list, index], (itemOf(schemaOf(list)) ?? z.unknown()).nullable());

/** Joins the texts of a list; absent ones are omitted. */
export const join = (
  list: Assignable<readonly (string | number | boolean | null)[]>,
  separator: Value<string>,
): Ref<string> => expression('join', [list, separator], z.string());
