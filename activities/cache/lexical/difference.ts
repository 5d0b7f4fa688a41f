import { areContrary } from './contraries.js';
import { basesOfPast, singularOf } from './inflection.js';
import { lookAlikes } from './look-alikes.js';
import { isNumber } from './numbers.js';
import { isVerbInIse, spelt } from './spelling.js';
import { isRequested, isShortVerb, POSSESSIVE, type Token, wordAt } from './tokens.js';
import {
  ARTICLES,
  BE,
  DO,
  FUNCTION_WORDS,
  HAVE,
  isUnit,
  MODALS,
  NEGATIONS,
  ORTHOGRAPHY,
  PREPOSITIONS,
  PRONOUNS,
  SAFE_ACRONYMS,
  SAFE_NAMES,
  STARTERS,
  STRICT_QUANTIFIERS,
  TIME_WORDS,
  WH,
} from './words.js';

/** What two texts differ in. */
export type DifferenceKind =
  | 'length'
  | 'language'
  | 'signs'
  | 'mention'
  | 'request'
  | 'numbers'
  | 'negation'
  | 'opposite'
  | 'name'
  | 'unit'
  | 'time'
  | 'order'
  | 'quantity'
  | 'marks'
  | 'focus'
  | 'person'
  | 'tense'
  | 'count'
  | 'article'
  | 'preposition'
  | 'capitals'
  | 'word';

/** Differences that a verifier may find to mean nothing. All others are final. */
const SOFT: ReadonlySet<DifferenceKind> = new Set([
  'marks',
  'focus',
  'person',
  'tense',
  'count',
  'article',
  'preposition',
  'capitals',
  'word',
]);

export interface Difference {
  readonly kind: DifferenceKind;
  /** The words that differ, for people. */
  readonly what: string;
  /** A verifier may overrule it. */
  readonly soft: boolean;
  /** The words of either text without a counterpart in the other. */
  readonly only: readonly [readonly Token[], readonly Token[]];
}

export const difference = (kind: DifferenceKind, what: string, only: Difference['only'] = [[], []]): Difference => ({
  kind,
  what,
  soft: SOFT.has(kind),
  only,
});

/** How a text is written. */
interface Style {
  /** All of it in capitals. */
  readonly shouts: boolean;
  /** It may be about spelling. */
  readonly literal: boolean;
  /** It asks what a word stands for: `what is e-mail`. */
  readonly defines: boolean;
}

export function compare(a: readonly Token[], b: readonly Token[]): Difference | undefined {
  const [left, right] = [styleOf(a), styleOf(b)];
  const equal = (token: Token, other: Token) => sameToken(token, left, other, right);
  if (a.length === b.length && a.every((token, i) => equal(token, b[i] as Token))) return undefined;
  const only = [oneSided(a, b, equal), oneSided(b, a, (token, other) => equal(other, token))] as const;
  const all = [...only[0], ...only[1]];
  if (all.length === 0) return difference('order', 'the same words in another order', only);
  for (const [kind, is] of FINAL) {
    const found = all.filter((token) => is(token, a, b));
    if (found.length > 0) return difference(kind, wordsOf(found), only);
  }
  const opposite = only[0].find(({ word }) => only[1].some((other) => areContrary(word, other.word)));
  if (opposite) return difference('opposite', opposite.word, only);
  const alike = lookAlikes(only);
  if (alike.length > 0) return difference('name', wordsOf(alike), only);
  if (swapped(a, b, only)) return difference('order', 'the same words in another order', only);
  if (rolesDiffer(a, b)) return difference('order', 'who does what to whom', only);
  return difference(softKind(only, a, b), wordsOf(all), only);
}

const wordsOf = (tokens: readonly Token[]): string =>
  tokens
    .slice(0, 4)
    .map(({ raw }) => raw)
    .join(' ');

function styleOf(tokens: readonly Token[]): Style {
  const words = tokens.filter(({ raw }) => /\p{L}{2}/u.test(raw));
  return {
    shouts: words.length > 2 && words.every(({ raw }) => raw === raw.toUpperCase()),
    literal: tokens.some(({ word }) => ORTHOGRAPHY.has(word)),
    defines: tokens.length <= 4 && wordAt(tokens, 0) === 'what' && BE.has(wordAt(tokens, 1)),
  };
}

/** One word, in spellings that say the same. */
function sameToken(token: Token, left: Style, other: Token, right: Style): boolean {
  if (token.raw === other.raw) return true;
  if (token.word !== other.word) {
    if (left.literal || right.literal || spelt(token.word) !== spelt(other.word)) return false;
    if (left.defines && token.word.includes('-') !== other.word.includes('-')) return false;
    // `Wi-Fi` and `wifi`.
    if (SAFE_ACRONYMS.has(spelt(token.word))) return true;
    return (
      (isLower(token) && isLower(other)) || (isCapitalised(token) && isCapitalised(other) && isVerbInIse(token.word))
    );
  }
  if (left.shouts !== right.shouts) return sameShouted(left.shouts ? other : token);
  // `GPs` are no `GPS`.
  if (SAFE_ACRONYMS.has(token.word)) return ![token, other].some(({ raw }) => /\p{Lu}s$/u.test(raw));
  if (isUpper(token) || isUpper(other)) return false;
  if (SAFE_NAMES.has(token.word)) return true;
  return (token.start || isLower(token)) && (other.start || isLower(other)) && STARTERS.has(token.word);
}

const isLower = ({ raw, word, start }: Token): boolean => raw === word || (start && STARTERS.has(word));
/** At the start of a sentence. */
const isCapitalised = ({ raw, start }: Token): boolean => start && /^\p{Lu}\p{Ll}+$/u.test(raw);
const isUpper = ({ raw }: Token): boolean => raw.length > 1 && raw === raw.toUpperCase() && raw !== raw.toLowerCase();

/** The word of the quiet text: a name or an abbreviation could stand behind the capitals of the other. */
const sameShouted = (quiet: Token): boolean =>
  SAFE_NAMES.has(quiet.word) ||
  (quiet.raw === quiet.word &&
    (quiet.word.length > 4 || (FUNCTION_WORDS.has(quiet.word) && !ACRONYMS.has(quiet.word)))) ||
  (quiet.start && STARTERS.has(quiet.word));
const ACRONYMS = new Set('us it who may am or in me as at on is all so be can will no she he'.split(' '));

function oneSided(
  tokens: readonly Token[],
  others: readonly Token[],
  equal: (token: Token, other: Token) => boolean,
): Token[] {
  const free = [...others];
  return tokens.filter((token) => {
    const at = free.findIndex((other) => equal(token, other));
    if (at >= 0) free.splice(at, 1);
    return at < 0;
  });
}

/** A capital within a sentence, or a word with capitals or digits inside. */
const isName = ({ raw, start, word }: Token): boolean =>
  raw !== 'I' &&
  ((/^\p{Lu}/u.test(raw) && (!start || isUpper({ raw, start, word }))) || /.\p{Lu}|\p{L}\p{N}/u.test(raw));

type Rule = (token: Token, a: readonly Token[], b: readonly Token[]) => boolean;
/** In this order: the first that applies names the difference. */
const FINAL: readonly (readonly [DifferenceKind, Rule])[] = [
  ['request', isRequested],
  ['negation', ({ word }) => NEGATIONS.has(word)],
  ['numbers', ({ word }) => isNumber(word) || /\p{N}/u.test(word)],
  ['signs', ({ word }) => !/[\p{L}\p{N},.?]/u.test(word) && word !== POSSESSIVE],
  // A name that the other text has in small letters is a difference of capitals; `SI` and `Si` are two names.
  ['name', (token, a, b) => isName(token) && !hasBoth(token.word, a, b)],
  ['name', ({ word }, a, b) => SAFE_NAMES.has(word) && !hasBoth(word, a, b)],
  ['unit', (token, a, b) => isUnit(token.word) && (isAmount(token, a) || isAmount(token, b))],
  ['name', (token, a, b) => isOtherName(token, [...a, ...b])],
  ['name', (token, a, b) => MODELS.has(token.word) && (isModel(token, a) || isModel(token, b))],
  ['time', ({ word }) => TIME_WORDS.has(word)],
  ['quantity', ({ word }) => STRICT_QUANTIFIERS.has(word)],
];
/** The word is written in two ways, both of which are names, or symbols: `the r flag`, `the R flag`. */
function isOtherName(token: Token, all: readonly Token[]): boolean {
  const same = all.filter(({ word }) => word === token.word);
  const symbol = /^[b-hj-z]$/.test(token.word);
  return same.some(({ raw }) => raw !== token.raw) && (symbol || same.every(isName));
}

/** `5 km`, `how many miles`, `dollars per hour`, `every minute`; not `the second one`. */
function isAmount(token: Token, text: readonly Token[]): boolean {
  const at = text.indexOf(token);
  const before = text[at - 1]?.word ?? '';
  const rate = before === 'the' && text[at - 2]?.word === 'by';
  return at > 0 && (isNumber(before) || COUNTING.has(before) || rate);
}
const COUNTING = new Set(
  'many much per in to a an one of half and or every each another single whole few several couple this last next past coming within for'.split(
    ' ',
  ),
);

/** `iPhone 12 pro`, `s21 ultra`: a model of the thing before it. */
const MODELS = new Set('pro max mini plus ultra lite air slim se xl fold flip turbo'.split(' '));
const isModel = (token: Token, text: readonly Token[]): boolean =>
  /\p{N}/u.test(text[text.indexOf(token) - 1]?.word ?? '');

const hasBoth = (word: string, a: readonly Token[], b: readonly Token[]): boolean =>
  a.some((token) => token.word === word) && b.some((token) => token.word === word);

/** The words that both texts have stand in another order: who does what to whom may have changed. */
function swapped(a: readonly Token[], b: readonly Token[], only: Difference['only']): boolean {
  const both = [a.filter((token) => !only[0].includes(token)), b.filter((token) => !only[1].includes(token))];
  const [left, right] = both.map(content) as [string[], string[]];
  if (left.join(' ') !== right.join(' ')) return joins(only[0], a) === joins(only[1], b) || !isCompound(left, right);
  // `Who taught Plato`, `who did Plato teach`.
  const [all, others] = [content(a), content(b)];
  return all.join(' ') !== others.join(' ') && all.slice().sort().join(' ') === others.slice().sort().join(' ');
}

/** Pronouns by the person that they name. */
const PERSONS = new Map(
  [
    'i me my mine myself',
    'we us our ours',
    'you your yours',
    'he him his himself',
    'she her hers herself',
    'they them their theirs',
  ].flatMap((row) => row.split(' ').map((word, _, [person = '']) => [word, person] as const)),
);

/** `Can we see them`, `can they see us`; `who helped Ann`, `who was helped by Ann`. */
function rolesDiffer(a: readonly Token[], b: readonly Token[]): boolean {
  const [mine, other] = [a, b].map((tokens) => tokens.flatMap(({ word }) => PERSONS.get(word) ?? [])) as [
    string[],
    string[],
  ];
  if (mine.join(' ') !== other.join(' ') && mine.slice().sort().join(' ') === other.slice().sort().join(' '))
    return true;
  const [agent, others] = [passiveOf(a), passiveOf(b)];
  if ((agent === undefined) === (others === undefined)) return false;
  const [left, right] = [content(a), content(b)];
  // `Loved` may be of `lov`.
  const [one, two] = [left, right].map((words) => words.map((word) => word.replace(/e$/, ''))) as [string[], string[]];
  return one.includes((agent ?? others ?? '').replace(/e$/, '')) && one.join(' ') === two.join(' ');
}

/** The verb of `was helped by` and `who's helped by`, in base form. */
function passiveOf(tokens: readonly Token[]): string | undefined {
  const by = tokens.findIndex(
    ({ word }, at) => at > 0 && word === 'by' && basesOfPast(wordAt(tokens, at - 1)).length > 0,
  );
  const passive = by > 0 && tokens.slice(0, by).some(({ word }, at) => BE.has(word) || isShortVerb(tokens, at));
  return passive ? basesOfPast(wordAt(tokens, by - 1))[0] : undefined;
}

/** Whether words that a text has alone join others: prepositions and possessives, not the `'s` of `who's the coach the boss hired`. */
const joins = (only: readonly Token[], text: readonly Token[]): boolean =>
  only.some(
    (token) => PREPOSITIONS.has(token.word) || (token.word === POSSESSIVE && !isShortVerb(text, text.indexOf(token))),
  );

/** `A place at a primary school`, `a primary school place`: without a preposition, what it joined is turned round. */
function isCompound(left: readonly string[], right: readonly string[]): boolean {
  if (left.length !== right.length) return false;
  let from = 0;
  while (left[from] === right[from]) from += 1;
  let to = left.length;
  while (left[to - 1] === right[to - 1]) to -= 1;
  const [turned, back] = [left.slice(from, to), right.slice(from, to).join(' ')];
  return turned.some((_, i) => i > 0 && [...turned.slice(i), ...turned.slice(0, i)].join(' ') === back);
}

/** The words with a meaning of their own, in base form. */
const content = (tokens: readonly Token[]): string[] =>
  tokens
    .filter(({ word }) => /[\p{L}\p{N}]/u.test(word) && !FUNCTION_WORDS.has(word) && word !== POSSESSIVE)
    .map(({ word }) => basesOfPast(word)[0] ?? singularOf(word));

/** The kind of a difference that is not final. */
function softKind([left, right]: Difference['only'], a: readonly Token[], b: readonly Token[]): DifferenceKind {
  const all = [...left, ...right].filter(({ word }) => word !== POSSESSIVE);
  const every = (is: (word: string) => boolean) => all.every(({ word }) => is(word));
  if (every((word) => /^[,.?]$/.test(word))) return 'marks';
  if (all.every(({ word }) => hasBoth(word, a, b)) && all.length > 0) return 'capitals';
  if (every((word) => ARTICLES.has(word))) return 'article';
  if (every((word) => PREPOSITIONS.has(word) || ARTICLES.has(word))) return 'preposition';
  if (all.some(({ word }) => PRONOUNS.has(word))) return 'person';
  if (all.some(({ word }) => WH.has(word))) return 'focus';
  if (every((word) => BE.has(word) || DO.has(word) || HAVE.has(word) || MODALS.has(word))) return 'tense';
  const singulars = [left, right].map((tokens) => tokens.map(({ word }) => singularOf(word)).join(' '));
  return singulars[0] === singulars[1] ? 'count' : 'word';
}
