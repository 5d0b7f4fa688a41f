import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';
import { lostInteger } from '../../protocols/open-inference/index.js';

/**
 * Throws `INVALID_INPUT` for JSON with an integer that a number does not hold: the run would get another one. The error names its field.
 * @param value the text as it was parsed
 * @param path of the value; its fields are named without it where it is undefined
 */
export function expectExact(value: Json, text: string, path?: string): void {
  const lost = lostInteger(value, text);
  if (lost === undefined) return;
  const field = [...(path === undefined ? [] : [path]), ...lost].join('.') || 'body';
  throw invalidField(field, 'is an integer of more digits than a number holds (above 2^53); send it as a text');
}
