import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../../pipelines/json.js';

/** In characters of its JSON: every heartbeat of the attempt has it. */
const LONGEST = 8_192;

/** The identifier in the answer to a submission. Throws `INVALID_OUTPUT` for one by which nothing can be asked for. */
export function jobIdOf(id: Json | undefined): Json {
  if (id === undefined || id === null) throw noId('there is none');
  if (JSON.stringify(id).length > LONGEST) throw noId(`it is longer than ${LONGEST} characters`);
  const parts = isJsonObject(id) ? Object.values(id) : [id];
  const unfit = parts.find((part) => typeof part === 'string' && UNFIT.test(part));
  if (unfit !== undefined) throw noId(`${JSON.stringify(unfit)} cannot be part of a path`);
  return id;
}

/** Nothing, a path's "here" or "above", or no Unicode text. */
const UNFIT = /^\.{0,2}$|\p{Surrogate}/u;

export const noId = (problem: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `the job has no identifier: ${problem}`);
