import { isParticiple } from './inflection.js';
import { type Item, itemOf } from './item.js';
import { ordinalOf, readNumber, romanValue } from './numbers.js';
import { openingOf } from './opening.js';
import { settle, type Tense } from './settle.js';
import { POSSESSIVE, type Token } from './tokens.js';
import { ARTICLES, BE, DO, HAVE, MODALS, PARTICLES, PER_UNITS, PHRASAL, PHRASE_ENDS } from './words.js';

/** The meaning of a question, in a form that is equal for two questions that ask the same. */
export interface Meaning {
  /** See `Opening.focus`; measures that can be asked for in two ways (`how tall`, `the height of`) have one name. */
  readonly focus: string;
  readonly tense: Tense;
  /** Whether it asks about one or several, if `is` or `are` shows it. */
  readonly count: 'one' | 'many' | undefined;
  /** Numbers in order of appearance, including years. */
  readonly numbers: readonly string[];
  /** All other words that carry meaning, in order. A number is included as `#`, a year is not. */
  readonly items: readonly Item[];
  /** Something is done to the subject (`was killed`). */
  readonly passive: boolean;
  /** Has `did`, so that a base form in it is a past one. */
  readonly did: boolean;
  /** Has `the`. */
  readonly definite: boolean;
  /** Has capital letters, so that lower case is significant. */
  readonly cased: boolean;
}

export function meaningOf(tokens: readonly Token[]): Meaning {
  const opening = openingOf(tokens);
  const { rest, numbers } = withoutNumbers(opening.rest);
  const words = rest.map(({ word }) => word);
  const read = withParticles(withOwners(rest)).map(itemOf);
  const hasDo = words.some((word) => DO.has(word));
  const { focus, tense, items } = settle(opening.focus, tenseOf(words, read), read, hasDo);
  return {
    focus,
    tense,
    count: countOf(words),
    numbers,
    items,
    passive: words.some((word) => BE.has(word)) && items.some(({ word }) => isParticiple(word)),
    did: words.includes('did'),
    definite: words.includes('the'),
    cased: tokens.some(({ letters }) => letters !== 'plain'),
  };
}

const YEAR = /^(?:1\d|20)\d\d$/;
const BEFORE_YEAR = new Set(['in', 'of', 'on', 'during', 'for']);

function withoutNumbers(tokens: readonly Token[]): { rest: Token[]; numbers: string[] } {
  const words = tokens.map(({ word }) => word);
  const rest: Token[] = [];
  const numbers: string[] = [];
  for (let at = 0; at < tokens.length; ) {
    const token = tokens[at] as Token;
    const previous = rest.at(-1);
    const roman = previous?.letters === 'capital' ? romanValue(token.word) : undefined;
    const read = roman !== undefined ? { digits: String(roman), length: 1 } : readNumber(words, at);
    if (!read) {
      rest.push({ ...token, word: ordinalOf(token.word) ?? token.word });
      at += 1;
      continue;
    }
    numbers.push(read.digits);
    at += read.length;
    // A year may be anywhere: `the 1998 World Cup`, `the World Cup in 1998`.
    if (!YEAR.test(read.digits)) rest.push({ word: '#', letters: 'plain' });
    else if (BEFORE_YEAR.has(previous?.word ?? '')) rest.pop();
  }
  return { rest, numbers };
}

/** Function words, whose meaning focus, tense and count cover. */
function isScaffold(words: readonly string[], at: number): boolean {
  const word = words[at] as string;
  const [previous = '', next = '', afterNext = ''] = [words[at - 1], words[at + 1], words[at + 2]];
  if (word === 'am' && previous === '#') return false; // five in the morning
  if (ARTICLES.has(word) || BE.has(word)) return true;
  // `What does a bank do?`, `who is will smith?`: a verb is a helping verb only if there is no other, and never at the
  // end.
  const helps = at < words.length - 1 && !words.slice(0, at).some(isHelper);
  if (DO.has(word) || word === 'will' || word === 'shall') return helps;
  if (HAVE.has(word)) return isParticiple(next) || (next === 'not' && isParticiple(afterNext));
  if (word === 'there') return BE.has(previous) || BE.has(next);
  // `Is it safe to`, `how far is it from`, `what time it is`: this `it` has no antecedent.
  if (word === 'it')
    return (BE.has(previous) && opensClause(words, at + 1)) || (BE.has(next) && at + 2 === words.length);
  return false;
}

const isHelper = (word: string): boolean => BE.has(word) || DO.has(word) || HAVE.has(word) || MODALS.has(word);

const opensClause = (words: readonly string[], at: number): boolean =>
  words[at] === 'from' || words.slice(at, at + 3).includes('to') || words[at] === undefined;

/** Rewrites `France's capital` as `the capital of France` without function words, so that both have the same order. */
function withOwners(tokens: readonly Token[]): Token[] {
  const words = tokens.map(({ word }) => word);
  const out: Token[] = [];
  let phrase = 0; // start of the current noun phrase in `out`
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] as Token;
    if (token.word === POSSESSIVE) {
      const owner = out.splice(phrase);
      let end = at + 1;
      while (end < tokens.length && !endsPhrase(words[end] as string)) end += 1;
      out.push(...tokens.slice(at + 1, end), { word: 'of', letters: 'plain' }, ...owner);
      at = end - 1;
      phrase = out.length;
      continue;
    }
    const per = PER_UNITS.has(words[at + 1] ?? '') && ['a', 'an', 'each', 'every', 'per'].includes(token.word);
    if (per) out.push({ word: 'per', letters: 'plain' });
    else if (!isScaffold(words, at)) out.push(token.word === 'in' ? { ...token, word: 'of' } : token);
    if (endsPhrase(token.word)) phrase = out.length;
  }
  return out;
}

const endsPhrase = (word: string): boolean => PHRASE_ENDS.has(word) || word === POSSESSIVE;

/** Rewrites `turn the lights on` as `turn on the lights`. */
function withParticles(tokens: readonly Token[]): readonly Token[] {
  const last = tokens.at(-1);
  const verb = tokens.findIndex(({ word }) => PHRASAL.has(word));
  if (!last || verb < 0 || verb >= tokens.length - 2 || !PARTICLES.has(last.word)) return tokens;
  return [...tokens.slice(0, verb + 1), last, ...tokens.slice(verb + 1, -1)];
}

/** The tense of the first verb that shows it; a past form counts only without a helping verb. */
function tenseOf(words: readonly string[], items: readonly Item[]): Tense {
  for (const word of words) {
    if (word === 'was' || word === 'were' || word === 'did' || word === 'had') return 'past';
    if (BE.has(word) || DO.has(word) || HAVE.has(word)) return 'present';
    if (word === 'will' || word === 'shall') return 'future';
    if (MODALS.has(word)) return 'open';
  }
  return items.some(({ pastOf }) => pastOf.length > 0) ? 'past' : 'open';
}

function countOf(words: readonly string[]): Meaning['count'] {
  const be = words.find((word) => BE.has(word));
  if (be === 'is' || be === 'was') return 'one';
  return be === 'are' || be === 'were' ? 'many' : undefined;
}
