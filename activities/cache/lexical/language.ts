import { isKnown } from '../verifier/thesaurus.js';
import { composed, isAboutLayout, isPlain, lineOf } from './text.js';
import { type Token, tokensOf } from './tokens.js';
import { ENGLISH, FOREIGN, FUNCTION_WORDS, MENTIONS, UNITS, WEAK_ENGLISH } from './words.js';

const MAX_TOKENS = 128;

/** Why the rules of English do not apply to a text. */
export type NotPlain = 'signs' | 'language' | 'mention' | 'length';

/**
 * The tokens of a plain English sentence, or why it is none: a sign, script or line that the rules do not know; not
 * enough English words, or words of another language; a word about words, where letters count.
 */
export function plainEnglish(text: string): readonly Token[] | NotPlain {
  const whole = composed(text).trim();
  const line = lineOf(whole);
  const quick = line.replace(/^([A-Za-z ,!']{2,24}): (?=[a-zA-Z])/, (frame, lead) =>
    isLead(lead) ? `${lead}, ` : frame,
  );
  if (!isPlain(quick)) return 'signs';
  if (isAboutLayout(line) && (line !== whole || ABOUT_MARKS.test(line))) return 'mention';
  const tokens = tokensOf(quick, MAX_TOKENS);
  if (tokens.length > MAX_TOKENS) return 'length';
  const english = tokens.filter(({ word }) => ENGLISH.has(word)).length;
  const foreign = tokens.filter(({ word }) => FOREIGN.has(word)).length;
  if (english === 0 ? foreign > 0 || !isWeaklyEnglish(tokens) : 3 * foreign > english) return 'language';
  return tokens.some(({ word }) => MENTIONS.has(word)) ? 'mention' : tokens;
}

/** The mark at the end may be what is asked about. */
const ABOUT_MARKS = /\b(?:full stops?|question marks?|punctuat|proofread)/i;

/**
 * Whether a text without a word that is English alone is English: it has two short words of it, and the others are mostly in
 * the vocabulary; all of them, and a long one, if German or French has the short ones too (`so was an`).
 */
function isWeaklyEnglish(tokens: readonly Token[]): boolean {
  const weak = tokens.filter(({ word }) => WEAK_ENGLISH.has(word));
  if (weak.length < 2) return false;
  const content = tokens.filter(
    ({ raw, word }) => raw === word && /^\p{L}/u.test(word) && !FUNCTION_WORDS.has(word) && !UNITS.has(word),
  );
  const unknown = content.filter(({ word }) => !word.split('-').every(isKnown)).length;
  if (weak.some(({ word }) => !SHARED.has(word))) return 2 * unknown <= content.length;
  return unknown === 0 && content.some(({ word }) => word.length > 3);
}
const SHARED = new Set('in an am was do so no or me i a at on'.split(' '));

/** `Quick question: how do I …`: the colon belongs to the courtesy before the question. */
const isLead = (lead: string): boolean =>
  /^(?:(?:hi|hello|hey)(?: there)?[ ,!.]*)?(?:(?:just )?(?:a |one |another )?(?:quick )?(?:one|question))?$/i.test(
    lead,
  );
