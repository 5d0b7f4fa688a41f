import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { LONGEST_SENTENCE, SentenceSplitter } from '../../pipelines/plan/sentences.js';

/**
 * Text split into passages of at most 400 characters: as many whole sentences as fit; a longer sentence is split at its
 * clauses, a longer clause between words. Empty if the text has no word.
 */
export function speakable(text: string): string[] {
  const splitter = new SentenceSplitter();
  const passages: string[] = [];
  for (const piece of [...splitter.push(spaced(text)), ...splitter.end()]) {
    const last = passages.at(-1);
    // Scripts without spaces between words have none between sentences either.
    const longer = last === undefined ? undefined : `${last}${/^\s/u.test(piece) ? ' ' : ''}${piece.trim()}`;
    if (longer !== undefined && longer.length <= LONGEST_SENTENCE) passages[passages.length - 1] = longer;
    else passages.push(piece.trim());
  }
  return passages.filter((passage) => passage !== '');
}

/** The passages of a `synthesize` call. Throws `INVALID_INPUT` if its text has no word. */
export function passagesOf({ text }: JsonObject): readonly string[] {
  const passages = speakable(typeof text === 'string' ? text : (text as readonly string[]).join(' '));
  if (passages.length > 0) return passages;
  throw nothingToSay();
}

/** The failure of a text without a word. */
export const nothingToSay = (): MillraceError =>
  new MillraceError('INVALID_INPUT', 'there is nothing to say: the text is empty', {
    fields: [{ field: 'text', message: 'empty' }],
  });

/**
 * Collapses each run of white space to one character, a line break if the run contains one. A caller's text may be a
 * megabyte of spaces, on which a pattern such as `\s*\n` takes quadratic time.
 */
const spaced = (text: string): string => text.trim().replace(/\s+/gu, (run) => (run.includes('\n') ? '\n' : ' '));
