import { z } from 'zod';
import { didYouMean } from '../did-you-mean.js';
import { isJsonObject, type Json } from '../json.js';
import type { Binding } from '../plan/binding.js';
import { invalid } from './invalid.js';

/** Keys of computed values; an object with one of them is not a structure of fields. */
const COMPUTED = ['$ref', '$op', '$text', '$const'];

/**
 * Adds schema defaults to the input of a nested pipeline at definition time: no zod runs between two steps. Throws
 * `INVALID_PIPELINE` for a missing or unknown field.
 */
export function fillDefaults(binding: Binding, schema: z.ZodType, id: string): Binding {
  return filled(binding, schema, `${id}.input`);
}

function filled(binding: Binding, schema: z.ZodType, where: string): Binding {
  if (!(schema instanceof z.ZodObject) || !isJsonObject(binding)) return binding;
  const shape = schema.shape as Record<string, z.ZodType>;
  const given = COMPUTED.some((key) => key in binding) ? fieldsOf(binding, shape) : binding;
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(shape, key));
  if (unknown !== undefined) {
    const meant = didYouMean(unknown, Object.keys(shape));
    throw invalid(`${where}.${unknown}`, `is not a field of the pipeline’s input${meant}`);
  }
  const result: Record<string, Json> = { ...given };
  for (const [key, field] of Object.entries(shape)) {
    const value = Object.hasOwn(given, key) ? given[key] : undefined;
    if (field instanceof z.ZodDefault) {
      const fallback = { $const: field.def.defaultValue as Json };
      result[key] = value === undefined ? fallback : { $op: 'either', of: [value, fallback] };
    } else if (value !== undefined) {
      result[key] = filled(value, field, `${where}.${key}`);
    } else if (!field.isOptional()) throw invalid(`${where}.${key}`, 'is missing');
  }
  return result;
}

/** Bindings of a computed object's fields. */
function fieldsOf(binding: Readonly<Record<string, Json>>, shape: Readonly<Record<string, z.ZodType>>) {
  const { $ref } = binding;
  return Object.fromEntries(
    Object.keys(shape).map((key): [string, Json] => [
      key,
      typeof $ref === 'string' ? { $ref: `${$ref}.${key}` } : { $op: 'get', of: [binding, key] },
    ]),
  );
}
