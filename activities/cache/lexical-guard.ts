import { normaliseText } from './cache-key.js';
import { type Item, isName, isPlural } from './lexical/item.js';
import { type Meaning, meaningOf } from './lexical/meaning.js';
import type { Tense } from './lexical/settle.js';
import { type Token, tokensOf } from './lexical/tokens.js';
import { ENGLISH, NEGATIONS, PRONOUNS, TIME_WORDS, UNITS } from './lexical/words.js';

/**
 * Longer texts differ unless they are identical. Embedders truncate a text (MiniLM at 256 tokens, some 1000
 * characters), and the longer two texts are, the less one word moves their vectors.
 */
export const MAX_CHARS = 512;
const MAX_TOKENS = 128;

/**
 * Why two texts must not share an answer, however similar their embeddings are; undefined if they may. A wrong answer
 * is much worse than a model call, so texts differ in case of doubt:
 *
 * - both must ask for the same thing (who, when, how many, yes or no), of the same time, of one or of several;
 * - the same numbers in the same order;
 * - every other word must have its counterpart in the other text, in the same order: itself, its singular or plural, its
 *   past where the other text says `did`, or one of a short list of synonyms. Only articles, helping verbs and courtesy
 *   count for nothing, and a few pairs of ways to put a question (`how tall is X`, `what is the height of X`) for one.
 *
 * So negations, names, units, antonyms, times and roles (who does what to whom) are distinguished without lists of
 * pairs.
 *
 * The rules are for English. A text without any common English word, or with quotes, must have the same words in the
 * same order, which is safe and rarely hits. Pure and deterministic; the order of the two texts does not matter. Takes
 * some 20 µs for two questions and is bounded for texts of any length.
 */
export function differs(a: string, b: string): string | undefined {
  if (a === b) return undefined;
  if (a.length > MAX_CHARS || b.length > MAX_CHARS) return 'length: too long to compare';
  if (normaliseText(a) === normaliseText(b)) return undefined;
  const [left, right] = [tokensOf(a, MAX_TOKENS), tokensOf(b, MAX_TOKENS)];
  if (left.length > MAX_TOKENS || right.length > MAX_TOKENS) return 'length: too long to compare';
  const free = isEnglish(left) && isEnglish(right) && !QUOTES.test(a) && !QUOTES.test(b);
  if (free) return differ(meaningOf(left), meaningOf(right));
  const same = left.length === right.length && left.every(({ word }, i) => word === right[i]?.word);
  return same ? undefined : 'language: not plain English, and not the same words';
}

/** In quotes a word refers to itself: `what does "the" mean`. */
const QUOTES = /["“”„«»`]|(?:^|\s)['‘]|['’](?:\s|$)/;

const isEnglish = (tokens: readonly Token[]): boolean => tokens.some(({ word }) => ENGLISH.has(word));

function differ(a: Meaning, b: Meaning): string | undefined {
  if (a.items.length + a.numbers.length === 0 || b.items.length + b.numbers.length === 0)
    return 'words: nothing to compare';
  if (a.numbers.join(' ') !== b.numbers.join(' ')) return `numbers: ${a.numbers} / ${b.numbers}`;
  const words = [...oneSided(a, b), ...oneSided(b, a)];
  const word = words.find((item) => kindOf(item) === 'negation') ?? words[0];
  if (word) return `${kindOf(word)}: ${word.word}`;
  if (!sameFocus(a, b)) return `focus: ${a.focus} / ${b.focus}`;
  if (!sameTense(a.tense, b.tense)) return `tense: ${a.tense} / ${b.tense}`;
  if (a.passive !== b.passive) return 'voice: active / passive';
  for (const [i, item] of a.items.entries()) {
    const other = b.items[i];
    if (!other || !same(a, item, b, other)) return `order: ${item.word}`;
    if (capitalsDiffer(a, item, b, other)) return `capitals: ${item.word}`;
  }
  if (!sameCount(a, b)) return 'count: one / several';
  // `What is time?`, `what is the time?`
  if (a.items.length === 1 && !a.focus.includes(':') && a.definite !== b.definite) return 'article: the / none';
  return undefined;
}

/** The items of `a` without a counterpart in `b`. */
function oneSided(a: Meaning, b: Meaning): Item[] {
  const free = [...b.items];
  return a.items.filter((item) => {
    const at = free.findIndex((other) => same(a, item, b, other));
    if (at >= 0) free.splice(at, 1);
    return at < 0;
  });
}

function same(a: Meaning, item: Item, b: Meaning, other: Item): boolean {
  if (item.word === other.word) return true;
  if (isName(item) || isName(other)) return false;
  return item.group === other.group || isPastOf(a, item, b, other) || isPastOf(b, other, a, item);
}

/** `Did … end` and `ended`; with another helping verb `ended` has another meaning. */
const isPastOf = (a: Meaning, item: Item, b: Meaning, other: Item): boolean =>
  a.did && !b.did && !b.passive && b.tense === 'past' && other.pastOf.includes(item.group);

/** A bare phrase (`capital of France`) asks what it is, but a single word is ambiguous. */
function sameFocus(a: Meaning, b: Meaning): boolean {
  if (a.focus === b.focus) return true;
  const pair = [a.focus, b.focus];
  return pair.includes('what') && pair.includes('none') && a.items.some(({ word }) => word === 'of');
}

/** Without a verb that sets a tense, the present is meant. */
const sameTense = (a: Tense, b: Tense): boolean => a === b || (isNow(a) && isNow(b));
const isNow = (tense: Tense): boolean => tense === 'present' || tense === 'open';

/** `Which country` asks for one answer, `which countries` for a list. */
function sameCount(a: Meaning, b: Meaning): boolean {
  if (a.count !== undefined && b.count !== undefined && a.count !== b.count) return false;
  const [first, other] = [a.items[0], b.items[0]];
  const listed = a.focus === 'what' || a.focus === 'who';
  return !listed || !first || !other || isPlural(first) === isPlural(other);
}

/** `turkey` and `Turkey`, if both texts use capitals and neither word starts a sentence. */
const capitalsDiffer = (a: Meaning, item: Item, b: Meaning, other: Item): boolean =>
  a.cased && b.cased && ((isName(item) && other.letters === 'plain') || (isName(other) && item.letters === 'plain'));

function kindOf({ word, ...item }: Item): string {
  if (NEGATIONS.has(word)) return 'negation';
  if (TIME_WORDS.has(word)) return 'time';
  if (UNITS.has(item.group)) return 'unit';
  if (isName({ word, ...item })) return 'name';
  return PRONOUNS.has(word) ? 'person' : 'word';
}
