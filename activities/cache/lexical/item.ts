import { basesOfPast, singularOf } from './inflection.js';
import type { Token } from './tokens.js';
import { groupOf, HAVE } from './words.js';

/** A word that must have a counterpart, with the forms that match it. */
export interface Item {
  readonly word: string;
  readonly letters: Token['letters'];
  /** Group of its singular or base form. */
  readonly group: string;
  /** Groups of the verbs that it may be the past of. */
  readonly pastOf: readonly string[];
}

export function itemOf({ word, letters }: Token): Item {
  const pastOf = basesOfPast(word).map(groupOf);
  const base = HAVE.has(word) ? 'have' : singularOf(word);
  return { word, letters, group: groupOf(groupOf(word) === word ? base : word), pastOf };
}

export const plainItem = (word: string): Item => itemOf({ word, letters: 'plain' });

export const isName = ({ letters }: Item): boolean => letters === 'capital' || letters === 'upper';

export const isPlural = ({ word }: Item): boolean => singularOf(word) !== word;
