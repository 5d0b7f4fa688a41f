import { isNoun } from '../verifier/thesaurus.js';
import { isNamed } from './courtesies.js';
import { basesOfPast } from './inflection.js';
import { isHelper, isOpening } from './mood.js';
import { ATTITUDES, ENDING_UP, OUTCOMES, OWNED, PLACES, STATES } from './rewrites.js';
import { asking, POSSESSIVE, type Token, tokenOf, wordAt } from './tokens.js';
import { ARTICLES, BE, DO, FUNCTION_WORDS, ORTHOGRAPHY, PREPOSITIONS } from './words.js';

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));
const [owned, states, outcomes] = [set(OWNED), set(STATES), set(OUTCOMES)];
const [attitudes, endingUp, places] = [set(ATTITUDES), set(ENDING_UP), set(PLACES)];

const at = (tokens: readonly Token[], index: number): Token => tokens[index] as Token;

/** Before and behind the pronoun; elsewhere `i` is a unit or a variable, whose case counts. */
const BEFORE_I = set(
  'do did can could may might must should would will shall am was have had and or but if because so that which who whom what when where why how while although though before after until till since than as , . ? !',
);
const BEHIND_I = set(
  'am was have had do did can could may might must should would will shall not want need use get go live work think know',
);

/** The pronoun is written `I`. */
export const withPronoun = (tokens: readonly Token[]): readonly Token[] =>
  tokens.map((token, i) => {
    if (token.raw !== 'i') return token;
    const [before, next] = [wordAt(tokens, Math.max(i - 1, 0)), i + 1 < tokens.length ? wordAt(tokens, i + 1) : ''];
    const pronoun = i === 0 || BEFORE_I.has(before) || BEHIND_I.has(next);
    return pronoun ? { ...token, raw: 'I' } : token;
  });

/** `How do I`, `how can I` and `how to`. The person is kept: `how do you` may ask about the one who answers. */
export function usualHow(tokens: readonly Token[]): readonly Token[] {
  if (wordAt(tokens, 0) !== 'how') return tokens;
  const [helper, subject] = [wordAt(tokens, 1), wordAt(tokens, 2)];
  const length = (helper === 'do' || helper === 'can') && subject === 'i' ? 3 : helper === 'to' ? 2 : 0;
  const verb = wordAt(tokens, length);
  if (length === 0 || verb === '' || verb === 'not' || saysHowOneIs(tokens.slice(length))) return tokens;
  return [at(tokens, 0), tokenOf('to'), ...tokens.slice(length)];
}

function saysHowOneIs(tokens: readonly Token[]): boolean {
  const [verb, object] = [wordAt(tokens, 0), wordAt(tokens, 1)];
  if (states.has(verb)) return true;
  // `How do I end up there`, but `how do I turn up the volume`.
  if (endingUp.has(verb) && ['up', 'out'].includes(object)) return verb !== 'turn' || tokens.length === 2;
  if (outcomes.has(verb)) return object === '' || object === 'in';
  if (attitudes.has(verb)) return tokens.length === 1 || PEOPLE.has(object) || isNamed(tokens[1]);
  // `How do I make you feel`, `how do I spend my time`.
  if (verb === 'make') return tokens.slice(2).some(({ word }) => states.has(word));
  return verb === 'spend' && object === 'my';
}
const PEOPLE = set('you him her them it us me people');

/** `Which country` is `what country`, and so is `which is the largest`; `which is it` asks about some that are known. */
export function usualWhich(tokens: readonly Token[]): readonly Token[] {
  const [first, second, third, fourth] = [0, 1, 2, 3].map((i) => tokens[i]?.word ?? '') as [
    string,
    string,
    string,
    string,
  ];
  if (first !== 'which' || second === '') return tokens;
  const most = BE.has(second) && /^(?:most|least|best|worst)$|est$/.test(third === 'the' ? fourth : third);
  const verb = isOpening(second) || FUNCTION_WORDS.has(second) || basesOfPast(second).length > 0;
  // `Which costs more`: it may be a verb.
  const ambiguous =
    /[^s]s$/.test(second) && !isHelper(third) && !DO.has(third) && (tokens.length < 5 || !isNoun(second));
  // Two things to choose from are named: `which is cheaper, tea or coffee`.
  const choice = tokens.some(({ word }) => word === 'or');
  if (most || choice || !(verb || ambiguous)) return [tokenOf('what', true), ...tokens.slice(1)];
  return verb && tokens.length <= 5 ? asking(tokens, 'one of those that are known') : tokens;
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
  return [...tokens.slice(0, 3), ...['are', 'there', 'in'].map((raw) => tokenOf(raw)), ...tokens.slice(4, -1)];
}

/** `What is France's capital?` is `what is the capital of France`, for what places and works have. */
export function owner(tokens: readonly Token[]): readonly Token[] {
  const mark = tokens.findIndex(({ word }) => word === POSSESSIVE);
  const asks = wordAt(tokens, 0) === 'what' && BE.has(wordAt(tokens, 1));
  if (!asks || mark < 3 || mark !== tokens.length - 2 || !owned.has(wordAt(tokens, -1))) return tokens;
  return [...tokens.slice(0, 2), tokenOf('the'), at(tokens, mark + 1), tokenOf('of'), ...tokens.slice(2, mark)];
}

/** `The World Cup in 1998` at the end is `the 1998 World Cup`. */
export function usualTime(tokens: readonly Token[]): readonly Token[] {
  const [before, year] = [wordAt(tokens, -2), wordAt(tokens, -1)];
  if (before !== 'in' || !/^(?:1[5-9]|20)\d\d$/.test(year)) return tokens;
  let from = tokens.length - 2;
  while (from > 0 && /^\p{Lu}/u.test(at(tokens, from - 1).raw)) from -= 1;
  if (from > tokens.length - 3 || wordAt(tokens, from - 1) !== 'the' || from < 2) return tokens;
  return [...tokens.slice(0, from), tokens.at(-1) as Token, ...tokens.slice(from, -2)];
}
