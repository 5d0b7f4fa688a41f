import { canonical } from './lexical/canonical.js';
import { compare, type Difference, difference } from './lexical/difference.js';
import { type NotPlain, plainEnglish } from './lexical/language.js';
import { MAX_CHARS, normaliseText } from './lexical/text.js';
import type { Token } from './lexical/tokens.js';
import { writesOtherwise } from './lexical/written.js';

export type { Difference };

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
  const [left, right] = [formOf(a), formOf(b)];
  const why = ORDER.find((each) => each === left || each === right);
  if (why) return difference(why, WHY[why]);
  const found = compare(left as readonly Token[], right as readonly Token[]);
  if ((!found || found.soft) && writesOtherwise(a, b)) return difference('mention', WHY.mention);
  return found?.kind === 'marks' && asksAndTells(a, b) && onlyAtEnd(found)
    ? difference('signs', 'one asks and the other tells', found.only)
    : found;
}

/** One text ends with a question mark, the other with another mark. */
const asksAndTells = (a: string, b: string): boolean => {
  const [mine, other] = [a, b].map((text) => /[.?!\u2026]+$/.exec(text.trimEnd().slice(-16))?.[0]);
  return mine !== undefined && other !== undefined && mine.includes('?') !== other.includes('?');
};
const onlyAtEnd = ({ only }: Difference): boolean => only.flat().every(({ word }) => word !== ',');

/** The usual forms of two texts whose difference is soft. */
export function formsOf(a: string, b: string): readonly [readonly Token[], readonly Token[]] | undefined {
  const [left, right] = [formOf(a), formOf(b)];
  return typeof left === 'string' || typeof right === 'string' ? undefined : [left, right];
}

/** Forms of the latest texts: a lookup compares one text with several. */
const forms = new Map<string, readonly Token[] | NotPlain>();
const MOST_FORMS = 512;

function formOf(text: string): readonly Token[] | NotPlain {
  const known = forms.get(text);
  if (known !== undefined) return known;
  const tokens = plainEnglish(text);
  const form = typeof tokens === 'string' ? tokens : canonical(tokens);
  if (forms.size >= MOST_FORMS) forms.clear();
  forms.set(text, form);
  return form;
}

/** As `differenceOf`, in words: `numbers: 5 15`. */
export function differs(a: string, b: string): string | undefined {
  const found = differenceOf(a, b);
  return found && `${found.kind}: ${found.what}`;
}
