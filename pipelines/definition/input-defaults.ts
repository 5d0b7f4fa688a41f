import { z } from 'zod';
import { didYouMean } from '../did-you-mean.js';
import { isJsonObject, type Json } from '../json.js';
import { bare } from '../media.js';
import type { Binding } from '../plan/binding.js';
import { takes } from './converted-input.js';
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
  const inner = bare(schema);
  if (Array.isArray(binding) && inner instanceof z.ZodArray) {
    const element = inner.element as z.ZodType;
    return binding.map((item: Binding, i) => (isComputed(item) ? item : filled(item, element, `${where}[${i}]`)));
  }
  if (!(inner instanceof z.ZodObject) || !isJsonObject(binding)) return binding;
  const computed = isComputed(binding);
  // An object that may be absent stays so.
  if (computed && inner !== schema) return binding;
  const shape = inner.shape as Record<string, z.ZodType>;
  const given = computed ? fieldsOf(binding, shape) : binding;
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(shape, key) && !isLoose(inner));
  if (unknown !== undefined) {
    const meant = didYouMean(unknown, Object.keys(shape));
    throw invalid(`${where}.${unknown}`, `is not a field of the pipeline’s input${meant}`);
  }
  const result: Record<string, Json> = { ...given };
  for (const [key, field] of Object.entries(shape)) {
    const value = Object.hasOwn(given, key) ? given[key] : undefined;
    const usual = usualOf(field);
    if (value === undefined) {
      if (usual !== undefined) result[key] = { $const: usual };
      else if (!field.isOptional()) throw invalid(`${where}.${key}`, 'is missing');
      continue;
    }
    const own = filled(value, field, `${where}.${key}`);
    // A value that is null where that is allowed stays so.
    const replaced = usual !== undefined && (field instanceof z.ZodDefault || !takes(field, null));
    result[key] = replaced ? { $op: 'either', of: [own, { $const: usual }] } : own;
  }
  return result;
}

/** What a schema makes of a field that a caller leaves out; undefined if the field is then absent, or must not be. */
export function usualOf(field: z.ZodType): Json | undefined {
  if (!hasDefault(field)) return undefined;
  try {
    return field.safeParse(undefined).data as Json | undefined;
  } catch {
    // Its rules are asynchronous.
    return field instanceof z.ZodDefault ? (field.def.defaultValue as Json) : undefined;
  }
}

function hasDefault(field: z.ZodType): boolean {
  if (field instanceof z.ZodDefault || field instanceof z.ZodPrefault || field instanceof z.ZodCatch) return true;
  if (field instanceof z.ZodPipe) return hasDefault(field.def.in as z.ZodType);
  const wraps =
    field instanceof z.ZodOptional ||
    field instanceof z.ZodNullable ||
    field instanceof z.ZodReadonly ||
    field instanceof z.ZodNonOptional;
  return wraps && hasDefault(field.unwrap() as z.ZodType);
}

const isComputed = (binding: Binding): boolean => isJsonObject(binding) && COMPUTED.some((key) => key in binding);

/** Whether an object schema takes fields besides its own. */
const isLoose = ({ def: { catchall } }: z.ZodObject): boolean =>
  catchall !== undefined && !(catchall instanceof z.ZodNever);

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
