import { isNumber } from './numbers.js';
import { type Token, wordAt } from './tokens.js';
import { PREPOSITIONS, WH } from './words.js';

/** What is the same in both directions. */
const MUTUAL = new Set(['difference', 'differences', 'distance', 'similarities']);
/** Where the order may count: in calculations, and where it is named. */
const ORDERED = new Set(
  'subtract add divide multiply minus plus order first then respectively set vector from to'.split(' '),
);
/** Before `difference`: what is calculated, or written to calculate it, has a sign. */
const CALCULATED = new Set(
  'calculate calculates calculating calculation compute computes computing formula equation expression query sql function method script code program macro excel spreadsheet python javascript percentage percent potential voltage variance write return returns'.split(
    ' ',
  ),
);

/**
 * The two sides of `the difference between … and …`, and of a choice at the end (`which is faster, … or …`), in the order of the alphabet.
 * Only where it is certain where each side begins and ends: `red meat or fish` and `fish or red meat` are not taken apart.
 */
export function usualOrder(tokens: readonly Token[]): readonly Token[] {
  if (tokens.some(({ word }) => ORDERED.has(word))) return tokens;
  const between = tokens.findIndex(({ word }, i) => i > 0 && word === 'between' && MUTUAL.has(wordAt(tokens, i - 1)));
  if (tokens.slice(0, Math.max(between, 0)).some(({ word }) => CALCULATED.has(word))) return tokens;
  if (between > 0) return sorted(tokens, between + 1, 'and');
  const comma = tokens.findIndex(({ word }) => word === ',');
  return comma > 1 && WH.has(wordAt(tokens, 0)) ? sorted(tokens, comma + 1, 'or') : tokens;
}

/** @param from where the first side begins; the second ends with the text */
function sorted(tokens: readonly Token[], from: number, by: 'and' | 'or'): readonly Token[] {
  const joint = tokens.findIndex(({ word }, i) => i > from && word === by);
  const [left, right] = [tokens.slice(from, joint), tokens.slice(joint + 1)];
  if (joint < 0 || !isSide(left) || !isSide(right) || textOf(left) <= textOf(right)) return tokens;
  return [...tokens.slice(0, from), ...right, tokens[joint] as Token, ...left];
}

const textOf = (side: readonly Token[]): string => side.map(({ raw }) => raw).join(' ');

/** A thing by its name; numbers and variables may be calculated with. */
const isSide = (side: readonly Token[]): boolean =>
  side.length > 0 &&
  side.length <= 5 &&
  side.every(
    ({ word }) =>
      !isNumber(word) &&
      !PREPOSITIONS.has(word) &&
      /^(?:a|an|the|i|\p{L}[\p{L}\p{N}'.-]+)$/u.test(word) &&
      !/^(?:and|or|but|not|if|that|which|who)$/.test(word),
  );
