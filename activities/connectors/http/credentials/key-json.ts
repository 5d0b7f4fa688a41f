import type { z } from 'zod';
import { MillraceError } from '../../../../pipelines/errors.js';

/** A key of several parts, as JSON. Throws `INVALID_SETTING` naming what is missing; messages never contain the key. */
export function keyOf<T>(key: string, schema: z.ZodType<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(key);
  } catch {
    throw wrongKey(`must be ${what}`);
  }
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const names = read.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw wrongKey(`must be ${what}: ${names.join('; ')}`);
}

/** For a key that is not of its kind; the message must not contain it. */
export function wrongKey(message: string): MillraceError {
  return new MillraceError('INVALID_SETTING', `models: apiKey: ${message}`, { fields: [{ field: 'apiKey', message }] });
}
