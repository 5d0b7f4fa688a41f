import { z } from 'zod';
import { schemasAt } from '../../media/index.js';

/** Types of schemas that take no object. */
const NO_OBJECTS: ReadonlySet<string> = new Set(
  'string template_literal number boolean bigint null undefined void never date enum literal array tuple'.split(' '),
);

/**
 * Whether an object at a path of an input cannot have a field: all schemas there that take objects know their fields, and have no such one.
 * False where a schema leaves open what is there, as `z.any()`, `z.json()` and `z.looseObject()` do.
 */
export function lacksField(input: z.ZodType, path: readonly string[], field: string): boolean {
  const found = path.reduce<readonly z.ZodType[]>(
    (all, key) => all.flatMap((each) => schemasAt(each, [key]).flatMap(taken)),
    taken(input),
  );
  return found.length > 0 && found.every((schema) => isWithout(schema, field));
}

/** The schemas of a value as it is given, before it is converted. */
const taken = (schema: z.ZodType): readonly z.ZodType[] =>
  schemasAt(schema, []).flatMap((each) => (each instanceof z.ZodPipe ? taken(each.def.in as z.ZodType) : [each]));

function isWithout(schema: z.ZodType, field: string): boolean {
  if (!(schema instanceof z.ZodObject)) return NO_OBJECTS.has(schema.def.type);
  const { catchall } = schema.def;
  return !Object.hasOwn(schema.shape, field) && (catchall === undefined || catchall instanceof z.ZodNever);
}
