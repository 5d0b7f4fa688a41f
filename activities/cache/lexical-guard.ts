import { canonical } from './lexical/canonical.js';
import { compare, type Difference, difference } from './lexical/difference.js';
import { type NotPlain, plainEnglish } from './lexical/language.js';
import { MAX_CHARS, normaliseText } from './lexical/text.js';
import type { Token } from './lexical/tokens.js';

const WHY: Readonly<Record<NotPlain, string>> = {
  signs: 'signs, scripts or lines other than those of a plain English sentence, and not the same text',
  language: 'not plain English, and not the same text',
  mention: 'about words or letters, and not the same text',
  length: 'too long to compare',
};

const ORDER = Object.keys(WHY) as NotPlain[];

/**
 * What two texts differ in so that they must not share an answer, however similar their embeddings are; undefined if
 * they may. A wrong answer is much worse than a model call, so what the guard does not understand is a difference:
 *
 * - two texts that are not both plain English sentences must be equal, apart from `normaliseText`. Any sign, script or
 *   line that the rules do not know (JSON, code, formulas, quotes, paths, ranges, other languages) makes a text one that
 *   is not plain;
 * - plain sentences are brought into the usual form of what they say (`canonical`), by a list of courtesies, spellings
 *   and forms of questions. Then every word, number and sign must be equal, in the same order, in the same case but for
 *   the start of a sentence. Articles, prepositions, tense, person, plural and order all count.
 *
 * Differences in numbers, negation, opposites, names, units, times, signs, quantities and order are final; others
 * (`soft`) a verifier may overrule. Pure and deterministic; the order of the two texts does not matter. Bounded for
 * texts of any length.
 */
export function differenceOf(a: string, b: string): Difference | undefined {
  if (a === b) return undefined;
  if (a.length > MAX_CHARS || b.length > MAX_CHARS) return difference('length', WHY.length);
  if (normaliseText(a) === normaliseText(b)) return undefined;
  const [left, right] = [plainEnglish(a), plainEnglish(b)];
  const why = ORDER.find((each) => each === left || each === right);
  if (why) return difference(why, WHY[why]);
  return compare(canonical(left as readonly Token[]), canonical(right as readonly Token[]));
}

/** As `differenceOf`, in words: `numbers: 5 15`. */
export function differs(a: string, b: string): string | undefined {
  const found = differenceOf(a, b);
  return found && `${found.kind}: ${found.what}`;
}
