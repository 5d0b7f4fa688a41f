import { MillraceError } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import { type Answer, textOf } from '../exchange.js';
import { parseJson } from '../json-values.js';

/**
 * Body of a successful answer: JSON parsed, `text/*` as text, an empty body as null. Throws `INVALID_OUTPUT` for
 * anything else, and for JSON that is nested too deep; `BACKEND_REJECTED` for JSON that would fill the memory. Numbers are JavaScript's: an integer beyond 2^53 loses digits.
 */
export function readBody(answer: Answer): Json {
  if (answer.body.length === 0) return null;
  const type = (answer.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type.startsWith('text/')) return textOf(answer);
  // An answer without a content type is accepted if it is JSON.
  if (type !== '' && !/^application\/([\w.-]+\+)?json$/.test(type)) {
    throw new MillraceError('INVALID_OUTPUT', `the answer is ${type}, not JSON`);
  }
  return parseJson(textOf(answer), (problem) => new MillraceError('INVALID_OUTPUT', `the answer’s ${problem}`));
}
