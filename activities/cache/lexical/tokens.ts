import { isKnown, isNoun as isMostlyNoun } from '../verifier/thesaurus.js';
import { basesOfPast, SAME_AS_PAST } from './inflection.js';
import { opensWithSymbol } from './text.js';
import { ARTICLES, FUNCTION_WORDS, SAFE_NAMES, SHORT_UNITS } from './words.js';

/** A word, number or sign of a plain text. */
export interface Token {
  /** As written; contractions are written out. */
  readonly raw: string;
  /** In lower case. */
  readonly word: string;
  /** At the start of a sentence, where a capital may say nothing. */
  readonly start: boolean;
}

/** A possessive `'s`, and one behind `who` and the like that `withHas` keeps: `isShortVerb`. */
export const POSSESSIVE = "'s";

/** Words with their inner marks (`o'clock`, `3.5`, `10:30`, `b.com`, `gluten-free`); every other sign alone. */
const PIECES = /[\p{L}\p{N}]+(?:['.,:-][\p{L}\p{N}]+)*|[^\s]/gu;

/** Contractions that no rule covers, with and without the apostrophe, which is often omitted. */
const CONTRACTIONS: Readonly<Record<string, readonly string[]>> = {
  "can't": ['can', 'not'],
  cant: ['can', 'not'],
  cannot: ['can', 'not'],
  "won't": ['will', 'not'],
  wont: ['will', 'not'],
  "shan't": ['shall', 'not'],
  "ain't": ['is', 'not'],
  gonna: ['going', 'to'],
  wanna: ['want', 'to'],
};
const WITHOUT_APOSTROPHE = /^(is|are|was|were|do|does|did|has|have|had|could|would|should|must|need)n'?t$/;
const WH_WITHOUT_APOSTROPHE = /^(what|who|where|how|that|there)s$/;
/** After these words `'s` means `is` or `has`; after others it is a possessive. */
const IS_AFTER = new Set('what who where when why how it that there here he she'.split(' '));
const ENDINGS: Readonly<Record<string, string>> = { re: 'are', m: 'am', ve: 'have', ll: 'will' };
const AMOUNT = /^(\d+(?:[.,]\d+)*)([A-Za-z]+)$/;

export const tokenOf = (raw: string, start = false): Token => ({ raw, word: raw.toLowerCase(), start });

/** The word at a place, counted from the end if it is negative; empty outside of the text. */
export const wordAt = (tokens: readonly Token[], at: number): string => tokens.at(at)?.word ?? '';

/** A text that asks for something else than another of nearly the same words: `what` says for what. */
export const asking = (tokens: readonly Token[], what: string): readonly Token[] => [
  ...tokens,
  tokenOf(`\u2039${what}\u203a`),
];
export const isRequested = ({ word }: Token): boolean => word.startsWith('\u2039');

/** The words and signs of a text as they are written. */
export const piecesOf = (text: string): readonly string[] => text.match(PIECES) ?? [];

/** Whether a word is written out in the tokens, as `don't` and `whats` are. A possessive is not. */
export function isContraction(piece: string): boolean {
  const [, ending] = partsOf(piece);
  return ending !== undefined && ending !== POSSESSIVE;
}

/** The tokens of a plain text, at most `limit` + 1. Nothing is left out but spaces. */
export function tokensOf(text: string, limit: number): Token[] {
  const tokens: Token[] = [];
  let start = !opensWithSymbol(text);
  for (const [piece] of text.matchAll(PIECES)) {
    if (tokens.length > limit) break;
    const parts = isNoun(piece, tokens.at(-1)) ? [piece] : partsOf(piece);
    for (const [i, part] of parts.entries()) tokens.push(tokenOf(part, start && i === 0));
    start = /^[.?!\u2026]$/.test(piece) && !(piece === '.' && ABBREVIATION.test(tokens.at(-2)?.raw ?? ''));
  }
  return withHas(tokens);
}
/** Behind its point no sentence begins: `the U.S. Open`. */
const ABBREVIATION = /^(?:\p{L}|(?:\p{L}\.)+\p{L}|dr|mrs?|ms|st|vs|etc|inc|ltd|jr|sr|prof|approx)$/iu;

/** `A cant` and `the wont` are no `can't` and `won't`. */
const isNoun = (piece: string, before: Token | undefined): boolean =>
  /^(?:cant|wont)$/i.test(piece) && before !== undefined && (ARTICLES.has(before.word) || before.word === 'of');

/** `What's happened` is `what has happened`, not `what is happened`: before a participle of its sentence the guard keeps it as it is. */
function withHas(tokens: readonly Token[]): Token[] {
  return tokens.map((token, i) => {
    if (token.raw !== CONTRACTED_IS.raw) return token;
    const next = tokens.findIndex(({ start }, at) => at > i && start);
    const end = next < 0 ? tokens.length : Math.max(next, i + 4);
    const participle = tokens.slice(i + 1, end).some(({ word }, at) => {
      const before = tokens[i + at]?.word ?? '';
      // `Where is the lost property`: behind an article it is an adjective.
      if (ARTICLES.has(before) || !isParticiple(word)) return false;
      // `Who's the coach picked for it`; further behind, `to run` and `for frozen peas` are none, nor are `Sweden` and `that I need`.
      const other = BEFORE_THING.has(before) || SAFE_NAMES.has(word) || isOther(word, before, tokens[i + at + 2]);
      return at < 3 || !other;
    });
    return tokenOf(participle ? POSSESSIVE : 'is');
  });
}
const CONTRACTED_IS = tokenOf("'S-IS");
/** Whether the `'s` at a place is the verb `is` or `has` rather than a possessive: `who's hired`, not `Tom's hired car`. */
export const isShortVerb = (tokens: readonly Token[], at: number): boolean =>
  at > 0 && wordAt(tokens, at) === POSSESSIVE && IS_AFTER.has(wordAt(tokens, at - 1));
const BEFORE_THING = new Set('of in at for from with to into between about against'.split(' '));
/** Words with the form of a participle that are none. */
const OTHERS = new Set('need feed seed weed deed bed red hundred'.split(' '));
/** Participles, and things as often. */
const THINGS = new Set('cost run shed'.split(' '));
/** `The form that I need`, `the average funeral cost`: not `the run cost us`. */
function isOther(word: string, before: string, next: Token | undefined): boolean {
  if (OTHERS.has(word)) return true;
  const isLast = next === undefined || /^[.?!\u2026]$/.test(next.raw);
  return THINGS.has(word) && isLast && isMostlyNoun(before) && !FUNCTION_WORDS.has(before);
}
/** Which `basesOfPast` does not know. */
const PARTICIPLES = new Set(
  'agreed disagreed freed decreed guaranteed refereed laid repaid rebuilt resold retold foretold misled misheard overheard overrun rerun upheld withheld withstood outgrown overthrown redrawn sewn sown sawn mown hewn shorn strewn slain flung slung strung wrung stunk slunk slit lit knit leapt learnt burnt dreamt spilt spoilt smelt leant unwound rewound'.split(
    ' ',
  ),
);
/** Or a past form, or one that may be: `who's paid`, `who's hit it`. A word that is known in itself is none: `between`, `kitchen`. */
const isParticiple = (word: string): boolean =>
  basesOfPast(word).length > 0 ||
  SAME_AS_PAST.has(word) ||
  PARTICIPLES.has(word) ||
  /^.{1,2}ed$|(?:done|been|come)$/.test(word) ||
  isUnknownInEn(word);
const isUnknownInEn = (word: string): boolean => /en$/.test(word) && !FUNCTION_WORDS.has(word) && !isKnown(word);

function partsOf(piece: string): readonly string[] {
  const word = piece.toLowerCase();
  const capital = piece.charAt(0) !== word.charAt(0);
  const first = (parts: readonly string[]) => (capital ? [upperFirst(parts[0] as string), ...parts.slice(1)] : parts);
  if (Object.hasOwn(CONTRACTIONS, word)) return first(CONTRACTIONS[word] as readonly string[]);
  const not = WITHOUT_APOSTROPHE.exec(word);
  if (not) return first([not[1] as string, 'not']);
  const wh = WH_WITHOUT_APOSTROPHE.exec(word);
  if (wh) return first([wh[1] as string, CONTRACTED_IS.raw]);
  const amount = AMOUNT.exec(piece);
  if (amount && isUnit(amount)) return [amount[1] as string, amount[2] as string];
  const at = piece.indexOf("'");
  if (at <= 0) return [piece];
  const [base, ending] = [piece.slice(0, at), piece.slice(at + 1).toLowerCase()];
  if (ending === 's') return [base, IS_AFTER.has(base.toLowerCase()) ? CONTRACTED_IS.raw : POSSESSIVE];
  // `France'constructor` has none of them.
  const written = Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : undefined;
  return written === undefined ? [piece] : [base, written];
}

/** `5km`, `100g`. One digit with one letter is as often a name: `5g`, `seat 2A`. */
const isUnit = ([, digits = '', unit = '']: RegExpExecArray): boolean =>
  SHORT_UNITS.has(unit) && digits.length + unit.length > 2;

const upperFirst = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
