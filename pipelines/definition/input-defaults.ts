import { z } from 'zod';
import { isJsonObject, type Json } from '../json.js';
import type { Binding } from '../plan/binding.js';
import { invalid } from './invalid.js';

/** Keys that say how a value comes about; an object with one of them is no structure of fields. */
const COMPUTED = ['$ref', '$op', '$text', '$const'];

/**
 * The input of a pipeline that is a step, with the defaults of its schema: no zod runs between two steps. Throws
 * `INVALID_PIPELINE` for a field that is missing or that the pipeline does not have.
 */
export function fillDefaults(binding: Binding, schema: z.ZodType, id: string): Binding {
  return filled(binding, schema, `${id}.input`);
}

function filled(binding: Binding, schema: z.ZodType, where: string): Binding {
  if (!(schema instanceof z.ZodObject) || !isJsonObject(binding)) return binding;
  const shape = schema.shape as Record<string, z.ZodType>;
  const given = COMPUTED.some((key) => key in binding) ? fieldsOf(binding, shape) : binding;
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(shape, key));
  if (unknown !== undefined) throw invalid(`${where}.${unknown}`, 'is not a field of the pipeline’s input');
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

/** A computed object, field by field. */
function fieldsOf(binding: Readonly<Record<string, Json>>, shape: Readonly<Record<string, z.ZodType>>) {
  const { $ref } = binding;
  return Object.fromEntries(
    Object.keys(shape).map((key): [string, Json] => [
      key,
      typeof $ref === 'string' ? { $ref: `${$ref}.${key}` } : { $op: 'get', of: [binding, key] },
    ]),
  );
}
