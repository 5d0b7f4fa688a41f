import type { Json, JsonObject } from '../../pipelines/json.js';
import { MOST_BYTES, tooLarge } from '../../pipelines/json-limits.js';
import { StageError } from '../../pipelines/run/stage-error.js';

/**
 * Throws `RESULT_TOO_LARGE` for an input that no call can carry: results that fit one by one may not fit together.
 * @param copies how often the call contains the value: the cache lookup repeats it
 */
export function checkInput(input: JsonObject, stage: string, copies: 1 | 2 = 1): void {
  const large = tooLarge(input, MOST_BYTES / copies);
  if (large) throw failure(`stage "${stage}": its input ${large.message}`, `input.${large.field}`, stage);
}

/** Throws `RESULT_TOO_LARGE` for a run output that its history cannot hold. */
export function checkOutput(output: Json): void {
  const large = tooLarge(output);
  if (large) throw failure(`the pipeline's output ${large.message}`, `output.${large.field}`);
}

/** Throws `RESULT_TOO_LARGE` for state too large to start a new history; its loop or agent must be shortened. */
export function checkCarried(carried: Json): void {
  const large = tooLarge(carried);
  if (!large) return;
  // `done.below.<step>. … `
  const [, , stage = ''] = large.field.split('.');
  throw failure(`the state that the run carries into its next history ${large.message}`, large.field, stage);
}

function failure(message: string, path: string, stage?: string): StageError {
  const field = path.replace(/\.$/, '');
  return new StageError('RESULT_TOO_LARGE', message, {
    ...(stage !== undefined && stage !== '' && { stage }),
    fields: [{ field, message }],
  });
}
