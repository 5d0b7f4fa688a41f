import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import { LONGEST_BODY } from '../exchange.js';

/**
 * JSON of a request. Its least length is counted before it is made: a template may refer to one long text many times.
 * Throws `BODY_TOO_LARGE`.
 */
export function boundedJson(value: Json): string {
  let length = 0;
  const left: Json[] = [value];
  while (left.length > 0) {
    const each = left.pop() as Json;
    length += typeof each === 'string' ? each.length + 2 : 1;
    if (typeof each === 'object' && each !== null) {
      for (const name in each)
        if (Object.hasOwn(each, name)) left.push((each as Readonly<Record<string, Json>>)[name] as Json);
    }
    if (length + left.length > LONGEST_BODY) {
      throw new MillraceError('BODY_TOO_LARGE', `the request is longer than ${LONGEST_BODY / 1_024 / 1_024} MiB`);
    }
  }
  return JSON.stringify(value);
}
