import { z } from 'zod';
import { MillraceError, messageOf } from '../errors.js';
import type { JsonObject } from '../json.js';

/** JSON Schema (2020-12) for a model's output. Throws `INVALID_PIPELINE` naming `where` if the schema has none. */
export function jsonSchemaOf(schema: z.ZodType, where: string): JsonObject {
  try {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' });
    return rest as JsonObject;
  } catch (error) {
    const message = `has no JSON Schema: ${messageOf(error)}`;
    throw new MillraceError('INVALID_PIPELINE', `"${where}" ${message}`, { fields: [{ field: where, message }] });
  }
}
