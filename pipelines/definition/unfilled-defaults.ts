import { z } from 'zod';
import { isJsonObject } from '../json.js';
import { bare } from '../media.js';
import { takes } from './converted-input.js';
import { usualOf } from './input-defaults.js';
import { isReference, schemaOf } from './reference.js';
import { itemOf, mayBeAbsent } from './schema.js';

/**
 * The path of a field that has a default and may be absent where nothing fills it in: `fillDefaults` binds the fields of objects one by one,
 * and those in a list, or in an object that may be absent, are not known where these are references. Undefined if there is none.
 */
export function unfilledDefault(value: unknown, want: z.ZodType): string | undefined {
  if (isReference(value)) return within(schemaOf(value), want, true, []);
  const inner = bare(want);
  if (Array.isArray(value) && inner instanceof z.ZodArray) {
    const item = inner.element as z.ZodType;
    return first(value.entries(), ([i, each]) => {
      const path = isReference(each) ? within(schemaOf(each), item, false, []) : unfilledDefault(each, item);
      return path && `[${i}]${path}`;
    });
  }
  if (!isJsonObject(value) || !(inner instanceof z.ZodObject)) return undefined;
  const shape = inner.shape as Shape;
  return first(Object.entries(value), ([key, each]) => {
    const path = Object.hasOwn(shape, key) ? unfilledDefault(each, shape[key] as z.ZodType) : undefined;
    return path && `.${key}${path}`;
  });
}

type Shape = Readonly<Record<string, z.ZodType>>;

/** Pairs of object schemas whose comparison has begun: those of a tree contain themselves. */
type Compared = readonly (readonly [z.ZodType, z.ZodType])[];

/** @param fills whether the fields of such a value are bound one by one, if it is an object that is always there */
function within(have: z.ZodType, want: z.ZodType, fills: boolean, above: Compared): string | undefined {
  const [given, taken] = [bare(have), bare(want)];
  if (taken instanceof z.ZodArray) {
    const item = itemOf(given);
    const path = item && within(item, taken.element as z.ZodType, false, above);
    return path && `[]${path}`;
  }
  if (!(given instanceof z.ZodObject && taken instanceof z.ZodObject)) return undefined;
  if (above.some(([one, other]) => one === given && other === taken)) return undefined;
  const [from, to] = [given.shape as Shape, taken.shape as Shape];
  const filled = fills && taken === want;
  return first(Object.entries(to), ([key, field]) => {
    const own = Object.hasOwn(from, key) ? from[key] : undefined;
    if (!filled && isLacking(own, field)) return `.${key}`;
    const path = own && within(own, field, filled, [...above, [given, taken]]);
    return path && `.${key}${path}`;
  });
}

/** Whether a field may be absent, or null where it must not be, though it has a default. */
function isLacking(own: z.ZodType | undefined, field: z.ZodType): boolean {
  if (usualOf(field) === undefined) return false;
  if (own === undefined) return true;
  if (!mayBeAbsent(own)) return false;
  // A schema that has a default itself has filled it in.
  const mayBeMissing = takes(own, undefined) && usualOf(own) === undefined;
  return mayBeMissing || (takes(own, null) && !takes(field, null));
}

function first<T>(all: Iterable<T>, find: (item: T) => string | undefined): string | undefined {
  for (const item of all) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
