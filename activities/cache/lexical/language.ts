import { composed, isPlain } from './text.js';
import { type Token, tokensOf } from './tokens.js';
import { ENGLISH, FOREIGN, MENTIONS, WEAK_ENGLISH } from './words.js';

const MAX_TOKENS = 128;

/** Why the rules of English do not apply to a text. */
export type NotPlain = 'signs' | 'language' | 'mention' | 'length';

/**
 * The tokens of a plain English sentence, or why it is none: a sign, script or line that the rules do not know; not
 * enough English words, or words of another language; a word about words, where letters count.
 */
export function plainEnglish(text: string): readonly Token[] | NotPlain {
  const line = composed(text)
    .trim()
    .replace(/[ \t\u00a0]+/g, ' ');
  const quick = line.replace(/^([A-Za-z ,!']{2,24}): (?=[a-zA-Z])/, (frame, lead) =>
    isLead(lead) ? `${lead}, ` : frame,
  );
  if (!isPlain(quick)) return 'signs';
  const tokens = tokensOf(quick, MAX_TOKENS);
  if (tokens.length > MAX_TOKENS) return 'length';
  const english = tokens.filter(({ word }) => ENGLISH.has(word)).length;
  const foreign = tokens.filter(({ word }) => FOREIGN.has(word)).length;
  const weak = tokens.filter(({ word }) => WEAK_ENGLISH.has(word)).length;
  if (english === 0 ? weak < 2 || foreign > 0 : 3 * foreign > english) return 'language';
  return tokens.some(({ word }) => MENTIONS.has(word)) ? 'mention' : tokens;
}

/** `Quick question: how do I …`: the colon belongs to the courtesy before the question. */
const isLead = (lead: string): boolean => /(?:quick (?:one|question)|question|hi|hello|hey)$/i.test(lead);
