import type { Json, JsonObject } from '../../pipelines/json.js';
import { bytesOf, MOST_BYTES, MOST_PAYLOAD_BYTES, tooLarge } from '../../pipelines/json-limits.js';
import type { StageRecord } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { fittingRows } from './shorter-rows.js';

/** Maximum size of the stage table beside an output of any size, in bytes. */
const MOST_TABLE_BYTES = 500_000;
/** The same of a failure, which has no output. */
const MOST_FAILED_TABLE_BYTES = 1_000_000;

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

/** The stage table beside an output, shortened where both together are larger than a result may be. Throws `RESULT_TOO_LARGE`. */
export function rowsBeside(output: Json, rows: readonly StageRecord[]): readonly StageRecord[] {
  const fitting = rowsWithin(rows, MOST_TABLE_BYTES) ?? rowsWithin(rows, MOST_PAYLOAD_BYTES - bytesOf(output) - 1_000);
  if (fitting) return fitting;
  throw failure(`the pipeline's output and its stage table have more than ${MOST_PAYLOAD_BYTES} bytes`, 'output');
}

/** The stage table of a run that has failed; undefined if it is too large whatever is left out. */
export const rowsOfFailure = (rows: readonly StageRecord[]): readonly StageRecord[] | undefined =>
  rowsWithin(rows, MOST_FAILED_TABLE_BYTES);

function rowsWithin(rows: readonly StageRecord[], most: number): readonly StageRecord[] | undefined {
  const fitting = fittingRows(rows, most);
  return bytesOf(fitting as unknown as Json) <= most ? fitting : undefined;
}

/**
 * `RESULT_TOO_LARGE` for state too large to start a new history; its loop or agent must be shortened.
 * @param most what there is for it beside the input, the plan and the stage table, in bytes
 */
export function carriedMisfit(carried: Json, most: number): StageError | undefined {
  const large = tooLarge(carried, Math.max(0, most));
  if (!large) return undefined;
  // `done.below.<step>. … `, and `done.below.<step>~tried. … ` for the attempts of a segment that begins with the step
  const [, , name = ''] = large.field.split('.');
  const [stage = ''] = name.split('~', 1);
  const message = `the state that the run carries into its next history beside its input and plan ${large.message}`;
  return failure(message, large.field, stage);
}

function failure(message: string, path: string, stage?: string): StageError {
  const field = path.replace(/\.$/, '');
  return new StageError('RESULT_TOO_LARGE', message, {
    ...(stage !== undefined && stage !== '' && { stage }),
    fields: [{ field, message }],
  });
}
