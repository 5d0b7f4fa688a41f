import type { z } from 'zod';
import type { MillraceError } from '../../../../pipelines/errors.js';
import { invalidSetting } from '../../../../pipelines/invalid-setting.js';

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
export const wrongKey = (message: string): MillraceError => invalidSetting('apiKey', message, 'models');
