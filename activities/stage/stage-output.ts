import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import { type Misfit, notJson, tooLarge } from '../../pipelines/json-limits.js';

/**
 * A stage's output, if a run can store it: it passes through Temporal's history, a journal or a cache, and later stages
 * must read it back unchanged. Throws `INVALID_OUTPUT` or `RESULT_TOO_LARGE` naming the stage and the field.
 */
export function keepable(output: JsonObject, stage: string): JsonObject {
  jsonOf(output, stage);
  const large = tooLarge(output);
  if (!large) return output;
  const message = `the output of stage "${stage}" ${large.message}; return less, or media by reference`;
  throw new MillraceError('RESULT_TOO_LARGE', message, { stage, fields: [fieldOf(large)] });
}

/** An output of any size that JSON represents fully. Throws `INVALID_OUTPUT` naming the stage and the field. */
export function jsonOf(output: JsonObject, stage: string): JsonObject {
  const wrong = notJson(output);
  if (wrong) throw unfit(wrong, stage);
  return output;
}

export const unfit = (wrong: Misfit, stage: string): MillraceError =>
  invalidFields('INVALID_OUTPUT', [fieldOf(wrong)], { stage });

const fieldOf = ({ field, message }: Misfit): Misfit => ({ field: field === '' ? 'output' : field, message });
