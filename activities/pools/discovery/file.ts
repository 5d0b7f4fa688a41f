import { readFile } from 'node:fs/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { withoutMark } from '../../../runtime/without-mark.js';
import { endpointsSchema } from '../models.js';
import type { Discovery } from './discovery.js';

/** The endpoints that a JSON file lists, as a pool's `endpoints`; it may be empty. */
export const fileDiscovery =
  (file: string): Discovery =>
  async () => {
    const parsed = endpointsSchema.safeParse(JSON.parse(withoutMark(await readFile(file, 'utf8'))));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new MillraceError('INVALID_SETTING', `${file}: ${issue?.path.join('.')}: ${issue?.message}`);
  };
