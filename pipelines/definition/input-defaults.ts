import { z } from 'zod';
import { isJsonObject, type Json } from '../json.js';
import type { Binding } from '../plan/binding.js';
import { invalid } from './invalid.js';

/**
 * The input of a pipeline that is a step, with the defaults of its schema: no zod runs between two steps. Throws
 * `INVALID_PIPELINE` for a field that is missing or that the pipeline does not have.
 */
export function fillDefaults(binding: Binding, schema: z.ZodType, id: string): Binding {
  if (!isJsonObject(binding) || '$ref' in binding || !(schema instanceof z.ZodObject)) return binding;
  const shape = schema.shape as Record<string, z.ZodType>;
  const unknown = Object.keys(binding).find((key) => !Object.hasOwn(shape, key));
  if (unknown !== undefined) throw invalid(`${id}.input.${unknown}`, 'is not a field of the pipeline’s input');
  const filled: Record<string, Json> = { ...binding };
  for (const [key, field] of Object.entries(shape)) {
    const value = Object.hasOwn(binding, key) ? binding[key] : undefined;
    if (field instanceof z.ZodDefault) {
      const fallback = { $const: field.def.defaultValue as Json };
      filled[key] = value === undefined ? fallback : { $op: 'either', of: [value, fallback] };
    } else if (value === undefined && !field.isOptional()) {
      throw invalid(`${id}.input.${key}`, 'is missing');
    }
  }
  return filled;
}
