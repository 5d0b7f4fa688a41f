import { z } from 'zod';
import { invalid } from './invalid.js';

/** Schemas whose values JSON cannot hold, by zod's type, and what to declare instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  date: 'is a Date, which JSON cannot represent; declare z.iso.datetime() and make the Date where it is needed',
  bigint: 'is a BigInt, which JSON cannot represent; declare z.int(), or z.string() for more than 15 digits',
  map: 'is a Map, which JSON cannot represent; declare z.record()',
  set: 'is a Set, which JSON cannot represent; declare z.array()',
  file: 'is a File, which JSON cannot represent; declare audio() or image()',
  symbol: 'is a symbol, which JSON cannot represent',
  function: 'is a function, which JSON cannot represent',
  promise: 'is a promise, which JSON cannot represent; declare what it resolves to',
  nan: 'is NaN, which JSON cannot represent',
};
const TRANSFORM =
  'is changed by .transform(), so that its type is unknown; change it in a code() function, or add .pipe() with its schema';

/**
 * Checks that JSON can hold the values of a schema: a run passes them between processes, and checks them at once. Throws
 * `INVALID_PIPELINE` naming the field.
 * @param io `output`: values that the schema has produced; `input`: values that it is given, which it may convert
 */
export function checkJsonValues(schema: z.ZodType, where: string, io: 'input' | 'output'): void {
  if (typeof schema !== 'object' || schema === null || !('_zod' in schema)) throw invalid(where, noSchema(schema));
  const wrong: { readonly field: string; readonly why: string }[] = [];
  z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override({ zodSchema, path }) {
      const { type, coerce } = zodSchema._zod.def as { readonly type: string; readonly coerce?: boolean };
      if (isAsync(zodSchema)) wrong.push({ field: `${where}${fieldAt(path)}`, why: ASYNC });
      if (io === 'input' && (coerce || type === 'transform')) return;
      const why = type === 'transform' ? TRANSFORM : Object.hasOwn(INSTEAD, type) ? INSTEAD[type] : undefined;
      if (why !== undefined) wrong.push({ field: `${where}${fieldAt(path)}`, why });
    },
  });
  const [first] = wrong;
  if (first) throw invalid(first.field, first.why);
}

const ASYNC =
  'has an async rule, which cannot be checked when a value arrives; check it in a code() function that throws INVALID_INPUT';

/** Whether a schema has a refinement or a transform by an async function, as far as that shows. */
function isAsync(schema: z.core.$ZodType): boolean {
  const { checks = [], fn, transform } = schema._zod.def as z.core.$ZodTypeDef & Rules;
  const rules = checks.map((check) => (check._zod.def as Rules).fn);
  return [...rules, fn, transform].some((rule) => Object.prototype.toString.call(rule) === '[object AsyncFunction]');
}

/** Functions in the definition of a schema, or of a check. */
interface Rules {
  readonly fn?: unknown;
  readonly transform?: unknown;
}

const noSchema = (value: unknown): string =>
  typeof value === 'object' && value !== null && '_def' in value
    ? 'is a schema of zod 3; import z from zod 4'
    : 'must be a zod schema, such as z.object({ … })';

/** A path in a JSON Schema as a path in its values: `.list[].price` for `properties.list.items.properties.price`. */
function fieldAt(path: readonly (string | number)[]): string {
  let field = '';
  for (let i = 0; i < path.length; i++) {
    const part = path[i];
    if (part === 'properties') field += `.${path[++i]}`;
    else if (part === 'items') field += '[]';
    else if (part === 'prefixItems') field += `[${path[++i]}]`;
    else if (part === 'additionalProperties') field += '.*';
    else if (part === 'anyOf' || part === 'oneOf' || part === 'allOf') i++;
  }
  return field;
}
