import { editDistance } from '../../../pipelines/edit-distance.js';
import { soundAlike } from '../verifier/synonyms.js';
import { isKnown, relationOf } from '../verifier/thesaurus.js';
import { basesOfPast, singularOf } from './inflection.js';
import type { Token } from './tokens.js';
import { FUNCTION_WORDS, isUnit } from './words.js';

/** A word with a meaning of its own, as it is written in a list of words. */
const isContent = ({ raw, word }: Token): boolean =>
  raw === word && /^\p{Ll}{4,}(?:-\p{Ll}+)*$/u.test(word) && !FUNCTION_WORDS.has(word) && !isUnit(word);

/** A term that the vocabulary does not have: a substance, a brand, a name in small letters. */
const isTerm = ({ word }: Token): boolean => word.split('-').some((part) => part.length > 2 && !isKnown(part));

/**
 * A term of one text where the other has another term, and words that look alike without being related. An embedder takes
 * `hydroxyzine` and `hydralazine`, or `stationary` and `stationery`, for nearly the same. Forms of one word and what may be a typing
 * error (one letter, or two that are swapped, in a word that only the other text writes as the vocabulary does) are left out.
 */
export function lookAlikes([left, right]: readonly [readonly Token[], readonly Token[]]): readonly Token[] {
  const [mine, other] = [left.filter(isContent), right.filter(isContent)];
  const [terms, others] = [loneTerms(mine, right), loneTerms(other, left)];
  if (terms.length > 0 && others.length > 0) return [...terms, ...others];
  return mine.filter((a) => other.some((b) => isMistaken(a, b) && !isTyped(a, b) && !isTyped(b, a)));
}

const loneTerms = (words: readonly Token[], others: readonly Token[]): readonly Token[] =>
  words.filter(
    (term) => isTerm(term) && !others.some((other) => areForms(term.word, other.word) || isTyped(term, other)),
  );

/** Only the first is no word. */
const isTyped = (term: Token, other: Token): boolean =>
  isTerm(term) && !isTerm(other) && soundAlike(term.word, other.word);

/** `Cancel` and `cancelled`: of one word, or a common beginning with endings that words have. */
function areForms(a: string, b: string): boolean {
  const [base, other] = [a, b].map((word) => basesOfPast(word)[0] ?? singularOf(word)) as [string, string];
  if (base === other) return true;
  const same = commonStart(a, b);
  return same >= 4 && [a, b].every((word) => ENDINGS.has(word.slice(same)));
}
const ENDINGS = new Set(
  ',s,es,d,ed,ing,ling,led,r,rs,er,ers,e,or,ors,ion,ions,ation,ly,ment,al,ally,ity,ies,y,ness,t,ts,ic,ian,ians'.split(
    ',',
  ),
);

/** They differ in one or two letters, or are long and begin and end alike, and mean different things. */
function isMistaken({ word: a }: Token, { word: b }: Token): boolean {
  if (areForms(a, b) || RELATED.has(relationOf(a, b))) return false;
  const shorter = Math.min(a.length, b.length);
  if (shorter < 5) return false;
  const most = shorter >= 9 && commonStart(a, b) >= 3 ? 4 : shorter >= 6 ? 2 : 1;
  return distance(a, b, most) <= most;
}
const RELATED = new Set<ReturnType<typeof relationOf>>(['same', 'near', 'wider']);

function commonStart(a: string, b: string): number {
  let same = 0;
  while (same < Math.min(a.length, b.length) && a[same] === b[same]) same += 1;
  return same;
}

/** Levenshtein's distance; more than `most` if it is. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most || Math.max(a.length, b.length) > 40) return most + 1;
  return editDistance(a, b);
}
