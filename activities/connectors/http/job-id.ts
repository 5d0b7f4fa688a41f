import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../../pipelines/json.js';
import { valueAt } from '../json-values.js';

/** In characters of its JSON: every heartbeat of the attempt has it. */
const LONGEST = 8_192;

/**
 * The identifier in the answer to a submission. Throws `INVALID_OUTPUT` for one by which nothing can be asked for.
 * @param requests those about the job. Of an identifier with members only the parts of their paths are checked: servers have others empty
 */
export function jobIdOf(id: Json | undefined, requests: object): Json {
  if (id === undefined || id === null) throw noId('there is none');
  if (JSON.stringify(id).length > LONGEST) throw noId(`it is longer than ${LONGEST} characters`);
  const parts: readonly (Json | undefined)[] = isJsonObject(id) ? partsOf(id, requests) : [id];
  const unfit = parts.find((part) => (typeof part === 'string' ? UNFIT.test(part) : isJsonObject(part)));
  if (unfit !== undefined) throw noId(`${JSON.stringify(unfit)} cannot be part of a path`);
  return id;
}

/** What the paths of requests have of an identifier. */
function partsOf(id: Json, requests: object): readonly (Json | undefined)[] {
  const named = JSON.stringify(requests).matchAll(/\{(\/job(?:\/[^{}"]*)?)\}/g);
  return [...named].map(([, pointer = '']) => valueAt({ job: id }, pointer));
}

/** Nothing, a path's "here" or "above", or no Unicode text. */
const UNFIT = /^\.{0,2}$|\p{Surrogate}/u;

export const noId = (problem: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `the job has no identifier: ${problem}`);
