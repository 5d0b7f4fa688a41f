import { isNumber, isNumeral } from './numbers.js';
import { ALIASES } from './rewrites.js';
import { composed, lineOf } from './text.js';
import { isContraction, piecesOf, tokenOf } from './tokens.js';
import { ORTHOGRAPHY } from './words.js';

/** Words of `ORTHOGRAPHY` that are asked about by themselves more often than as a way of writing. */
const PLACES = new Set('british american uk usa britain america commonwealth'.split(' '));
const isAboutWriting = (word: string): boolean => ORTHOGRAPHY.has(word) && !PLACES.has(word);

/** A name as a whole; a `'s` stands behind a word. */
const whole = (name: string): string =>
  `${name.startsWith("'") ? '' : '(?<![\\p{L}\\p{N}])'}${name.replaceAll('.', '\\.')}`;
const NAMES = new RegExp(`(?:${ALIASES.map(([from]) => whole(from)).join('|')})(?![\\p{L}\\p{N}])`, 'giu');
const OPENING = /^(?:what|who|where|when|how|why)'?s$/;

/**
 * Whether a text is about writing, and the other one writes something in another way that the rules take for the same: `don't` and `do
 * not`, `twelve` and `12`, `the US` and `the USA`, `5 km` and `5 kilometers`. That may be what is asked.
 */
export function writesOtherwise(a: string, b: string): boolean {
  const [mine, other] = [writtenIn(a), writtenIn(b)];
  return (mine.about || other.about) && mine.ways !== other.ways;
}

/** What of a text could be written in another way. */
function writtenIn(text: string): { readonly about: boolean; readonly ways: string } {
  const line = lineOf(composed(text)).toLowerCase();
  const pieces = piecesOf(line);
  const ways = pieces.filter((piece, i) => hasOtherWay(piece, pieces[i - 1] ?? ''));
  return { about: pieces.some(isAboutWriting), ways: [...ways, ...(line.match(NAMES) ?? [])].sort().join('\n') };
}

function hasOtherWay(piece: string, before: string): boolean {
  if (piece.split('-').some((part) => isNumeral(tokenOf(part)))) return true;
  // The unit of an amount.
  if (isNumber(before) && /^(?:%|\p{L}+)$/u.test(piece)) return true;
  // `What's wrong with it` asks with this word, not about it.
  const asks = OPENING.test(piece) && !/[\p{L}\p{N}]$/u.test(before);
  return isContraction(piece) && !asks;
}
