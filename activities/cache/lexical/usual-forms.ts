import { isNoun } from '../verifier/thesaurus.js';
import { basesOfPast } from './inflection.js';
import { isHelper, isOpening, SUBJECTS } from './mood.js';
import { OWNED, PLACES, THINGS } from './rewrites.js';
import { asking, POSSESSIVE, type Token, tokenOf, wordAt } from './tokens.js';
import { ARTICLES, BE, DO, FUNCTION_WORDS, isUnit, ORTHOGRAPHY, PREPOSITIONS, SAFE_NAMES } from './words.js';

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));
const [owned, places, things] = [set(OWNED), set(PLACES), set(THINGS)];

const at = (tokens: readonly Token[], index: number): Token => tokens[index] as Token;

/** Before and behind the pronoun; elsewhere `i` is a unit or a variable, whose case counts. */
const BEFORE_I = set(
  'do did can could may might must should would will shall am was have had and or but if because so that which who whom what when where why how while although though before after until till since than as , . ? !',
);
const BEHIND_I = set(
  'am was have had do did can could may might must should would will shall not want need use get go live work think know',
);

/** Verbs of what is neither speaker nor listener: `when i is doubled`. */
const OF_A_THING = set('is equals has does goes becomes reaches exceeds changes increases decreases starts');

/** The pronoun is written `I`. */
export const withPronoun = (tokens: readonly Token[]): readonly Token[] =>
  tokens.map((token, i) => {
    if (token.raw !== 'i') return token;
    const [before, next] = [wordAt(tokens, Math.max(i - 1, 0)), i + 1 < tokens.length ? wordAt(tokens, i + 1) : ''];
    const pronoun = (i === 0 && token.start) || BEFORE_I.has(before) || BEHIND_I.has(next);
    return pronoun && !OF_A_THING.has(next) ? { ...token, raw: 'I' } : token;
  });

const NO_SUPERLATIVES = set(
  'guest houseguest forest rainforest chest priest harvest interest request contest protest arrest quest conquest inquest bequest behest crest digest manifest tempest midwest southwest northwest earnest honest modest',
);
/** `Largest`; not `guest`. */
export const isSuperlative = (word: string): boolean => /^.{2,}est$/.test(word) && !NO_SUPERLATIVES.has(word);

/** `Which country` is `what country`, and so is `which is the largest`; `which is it` asks about some that are known. */
export function usualWhich(tokens: readonly Token[]): readonly Token[] {
  const [first, second, third, fourth] = [0, 1, 2, 3].map((i) => tokens[i]?.word ?? '') as [
    string,
    string,
    string,
    string,
  ];
  if (first !== 'which' || second === '') return tokens;
  if (WORTH.has(second) && isHelperOrBe(third)) return tokens;
  const said = third === 'the' ? fourth : third;
  const most = BE.has(second) && (/^(?:most|least|best|worst)$/.test(said) || isSuperlative(said));
  const verb = isOpening(second) || FUNCTION_WORDS.has(second) || basesOfPast(second).length > 0;
  // `Which costs more`: it may be a verb.
  const compares = /^(?:better|best|more|most|worse|worst|less|least)$|.{2}(?:er|est)$/.test(third);
  const ambiguous =
    /[^s]s$/.test(second) &&
    !isHelper(third) &&
    !DO.has(third) &&
    (tokens.length < 5 || !isNoun(second) || VERBS_TOO.has(second) || compares);
  // Two things to choose from are named: `which is cheaper, tea or coffee`.
  const choice = tokens.some(({ word }) => word === 'or');
  if (most || choice || !(verb || ambiguous)) return [tokenOf('what', true), ...tokens.slice(1)];
  return verb && tokens.length <= 5 ? asking(tokens, 'one of those that are known') : tokens;
}

/** `What good is it`, `what use is a lease` say that it has none, or ask whether it has. */
const WORTH = set('good use help right difference business point harm');
const isHelperOrBe = (word: string): boolean => BE.has(word) || DO.has(word) || isHelper(word);

/** Verbs in the third person as often as nouns: `which works in winter`. */
const VERBS_TOO = set(
  'works costs tastes helps hurts looks sounds smells feels lasts needs uses pays burns runs plays holds fits suits wears tears breaks shows stands stays stops starts grows sells',
);

/** `Which ocean is the largest` is `what is the largest ocean`. */
export function usualMost(tokens: readonly Token[]): readonly Token[] {
  const [what, noun, be, the, most] = tokens;
  const asks =
    what?.word === 'what' && be !== undefined && BE.has(be.word) && the?.word === 'the' && most !== undefined;
  if (!asks || noun === undefined || noun.raw !== noun.word || FUNCTION_WORDS.has(noun.word)) return tokens;
  const behind = tokens[5]?.word;
  if (!isSuperlative(most.word) || (behind !== undefined && behind !== 'in' && behind !== 'on')) return tokens;
  return [what, be, the, most, noun, ...tokens.slice(5)];
}

/** `Begin` is `start`, but not in a name, as of a tag or a key, nor as a word of a language: `what does begin do in Ruby`. */
export function usualStart(tokens: readonly Token[]): readonly Token[] {
  if (tokens.some(({ word }) => ORTHOGRAPHY.has(word))) return tokens;
  return tokens.map((token, i) => {
    const usual = STARTING.get(token.raw);
    const before = i === 0 ? '' : wordAt(tokens, i - 1);
    return usual === undefined || isNamedAfter(before) ? token : tokenOf(usual, token.start);
  });
}
const STARTING = new Map([
  ['begin', 'start'],
  ['commence', 'start'],
  ['begins', 'starts'],
  ['commences', 'starts'],
]);
/** A word behind this one is no verb, or the rules do not know. */
const isNamedAfter = (before: string): boolean =>
  ARTICLES.has(before) ||
  OWNERS.has(before) ||
  BE.has(before) ||
  DO.has(before) ||
  (PREPOSITIONS.has(before) && before !== 'to');
const OWNERS = set("my your his her its our their 's this that");

/** `How many legs does a spider have` is `how many legs are there in a spider`, for what is no place. */
export function contents(tokens: readonly Token[]): readonly Token[] {
  const [how, many, does, article] = [0, 1, 3, 4].map((i) => tokens[i]?.word ?? '');
  if (how !== 'how' || many !== 'many' || (article !== 'a' && article !== 'an')) return tokens;
  const holder = wordAt(tokens, -2);
  if ((does !== 'does' && does !== 'do') || wordAt(tokens, -1) !== 'have' || tokens.length < 7) return tokens;
  if (places.has(holder)) return asking(tokens, 'what it has, wherever that is');
  // The customers of a shop are not those that are in it.
  const thing = wordAt(tokens, 2);
  if (!things.has(thing) && !isUnit(thing)) return tokens;
  return [...tokens.slice(0, 3), ...['are', 'there', 'in'].map((raw) => tokenOf(raw)), ...tokens.slice(4, -1)];
}

/**
 * `What is France's capital?` is `what is the capital of France`, for what places and works have. Not where the owner has no name: `the
 * browser's history` is that of one browser, and `the history of the browser` that of all.
 */
export function owner(tokens: readonly Token[]): readonly Token[] {
  const mark = tokens.findIndex(({ word }) => word === POSSESSIVE);
  const asks = wordAt(tokens, 0) === 'what' && BE.has(wordAt(tokens, 1));
  if (!asks || mark < 3 || mark !== tokens.length - 2 || !owned.has(wordAt(tokens, -1))) return tokens;
  if (!tokens.slice(wordAt(tokens, 2) === 'the' ? 3 : 2, mark).every(isProperName)) return tokens;
  return [...tokens.slice(0, 2), tokenOf('the'), at(tokens, mark + 1), tokenOf('of'), ...tokens.slice(2, mark)];
}

/** `France`, `france`, `Everest`; not `TV`, nor words of a text that is all in capitals. */
const isProperName = ({ raw, word }: Token): boolean =>
  /^\p{Lu}.*\p{Ll}/u.test(raw) || SAFE_NAMES.has(word) || word === 'usa' || word === 'uk';

/** `Where are you located` asks a firm for its address. */
export const placed = (tokens: readonly Token[]): readonly Token[] =>
  wordAt(tokens, 0) === 'where' && SUBJECTS.has(wordAt(tokens, 2)) && /^(?:located|situated)$/.test(wordAt(tokens, -1))
    ? asking(tokens, 'where one is to be found')
    : tokens;

/** `The age of consent` is no answer to `how old is consent`, nor `the height of fashion` to `how tall is fashion`. */
export function ofAge(tokens: readonly Token[]): readonly Token[] {
  const last = tokens.at(-1);
  const age = 'what is the * of'.split(' ').every((word, i) => word === '*' || wordAt(tokens, i) === word);
  const fixed =
    age &&
    FIGURATIVE.has(wordAt(tokens, 3)) &&
    tokens.length === 6 &&
    last !== undefined &&
    last.raw === last.word &&
    !FUNCTION_WORDS.has(last.word);
  return fixed ? asking(tokens, 'an age that is set') : tokens;
}

const FIGURATIVE = set('age height depth weight price');

/** Games that are named by their year; of a thing the year says when it was made: `the Beetle in 1970`, `the 1970 Beetle`. */
const GAMES = set('cup bowl olympics championship championships games series league election');
const HELD = set('won win hosted host lost lose');

/** `Who won the World Cup in 1998` is `who won the 1998 World Cup`. */
export function usualTime(tokens: readonly Token[]): readonly Token[] {
  const [before, year] = [wordAt(tokens, -2), wordAt(tokens, -1)];
  if (before !== 'in' || !/^(?:1[5-9]|20)\d\d$/.test(year)) return tokens;
  if (!GAMES.has(wordAt(tokens, -3)) || !tokens.some(({ word }) => HELD.has(word))) return tokens;
  let from = tokens.length - 2;
  while (from > 0 && /^\p{Lu}/u.test(at(tokens, from - 1).raw)) from -= 1;
  if (from > tokens.length - 3 || wordAt(tokens, from - 1) !== 'the' || from < 2) return tokens;
  return [...tokens.slice(0, from), tokens.at(-1) as Token, ...tokens.slice(from, -2)];
}
