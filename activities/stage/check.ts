import type { z } from 'zod';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';

const WHOLE = { INVALID_INPUT: 'input', INVALID_OUTPUT: 'output' } as const;

/** The value as parsed by its schema: with defaults, without unknown members. */
export function check(
  schema: z.ZodType,
  value: unknown,
  code: 'INVALID_INPUT' | 'INVALID_OUTPUT',
  stage: string,
): JsonObject {
  let parsed: z.ZodSafeParseResult<unknown>;
  try {
    parsed = schema.safeParse(value);
  } catch (error) {
    // A recursive schema overflows the stack on JSON nested some thousand levels deep.
    if (!(error instanceof RangeError)) throw error;
    throw invalidFields(code, [{ field: 'body', message: 'is nested too deeply' }], { stage });
  }
  if (parsed.success) return parsed.data as JsonObject;
  throw invalidFields(
    code,
    parsed.error.issues.map(({ path, message }) => ({ field: path.join('.') || WHOLE[code], message })),
    { stage },
  );
}
