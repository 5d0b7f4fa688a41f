import type { Difference } from '../lexical/difference.js';
import { basesOfPast, singularOf } from '../lexical/inflection.js';
import type { Token } from '../lexical/tokens.js';
import { ARTICLES, BE, DO, FUNCTION_WORDS, HAVE, MODALS, PREPOSITIONS, PRONOUNS, WH } from '../lexical/words.js';
import { askedApart } from './asked.js';
import { SYNONYM_GROUPS, soundAlike } from './synonyms.js';
import { areOpposed, isNoun, type Relation, rarityOf, relationOf } from './thesaurus.js';

/** The features of two texts whose difference is soft, in the order of `featuresOf`. */
export const FEATURES = [
  'similarity',
  'onlyLeft',
  'onlyRight',
  'fewer',
  'contentLeft',
  'contentRight',
  'contentFewer',
  'contentShared',
  'shared',
  'length',
  'matched',
  'unmatched',
  'focus',
  'persons',
  'articles',
  'prepositions',
  'helpers',
  'marks',
  'capitals',
  'opening',
  'thesaurus',
  'near',
  'wider',
  'kin',
  'lost',
  'lostFewer',
  'lostNouns',
  'replaced',
  'grams',
  'head',
  'support',
  'asked',
  'opposed',
  'order',
] as const;

/**
 * Numbers about a soft difference. Symmetric: the order of the two texts does not matter.
 *
 * @param similarity cosine of the texts' embeddings
 */
export function featuresOf(a: readonly Token[], b: readonly Token[], found: Difference, similarity: number): number[] {
  // Words are paired from the left to the right: the order of the two texts is settled, so that it does not matter.
  const [[one, left], [two, right]] = inOrder([a, found.only[0]], [b, found.only[1]]);
  const [mine, other] = [content(left), content(right)];
  const { matched, rest, related } = align(mine, other);
  const [restLeft, restRight] = rest;
  const [lostLeft, lostRight] = [rarityOfAll(restLeft), rarityOfAll(restRight)];
  const count = (is: (word: string) => boolean) => [...left, ...right].filter(({ word }) => is(word)).length;
  const all = Math.max(a.length, b.length);
  const sharedContent = content(a).length - mine.length;
  const most = Math.max(left.length, right.length);
  const contentMost = Math.max(mine.length, other.length);
  return [
    similarity,
    most,
    Math.min(left.length, right.length),
    Math.abs(left.length - right.length),
    contentMost,
    Math.min(mine.length, other.length),
    Math.abs(mine.length - other.length),
    Math.max(sharedContent, 0),
    1 - most / Math.max(all, 1),
    all,
    matched,
    mine.length + other.length - 2 * matched,
    focusDiffers(a, b) ? 1 : 0,
    count((word) => PRONOUNS.has(word)),
    count((word) => ARTICLES.has(word)),
    count((word) => PREPOSITIONS.has(word)),
    count((word) => BE.has(word) || DO.has(word) || HAVE.has(word) || MODALS.has(word)),
    count((word) => /^[,.?]$/.test(word)),
    found.kind === 'capitals' ? 1 : 0,
    openingOf(a) === openingOf(b) ? 1 : 0,
    related.same,
    related.near,
    related.wider,
    related.kin,
    lostLeft + lostRight,
    Math.min(lostLeft, lostRight),
    [...restLeft, ...restRight].filter(({ word }) => isNoun(word)).length,
    Math.min(restLeft.length, restRight.length),
    gramsShared(a, b),
    headDiffers(one, two, rest) ? 1 : 0,
    count((word) => SUPPORT.has(word)),
    askedApart(a, b),
    left.some(({ word }) => right.some((each) => areOpposed(word, each.word))) ? 1 : 0,
    inSameOrder(content(one), content(two)),
  ];
}

type Side = readonly [text: readonly Token[], only: readonly Token[]];
const inOrder = (a: Side, b: Side): readonly [Side, Side] => {
  const textOf = ([tokens]: Side) => tokens.map(({ word }) => word).join(' ');
  return textOf(a) <= textOf(b) ? [a, b] : [b, a];
};

/** A word with a meaning of its own. */
interface Word {
  readonly word: string;
  /** Its stem, equal for the forms of a word. */
  readonly base: string;
}

const content = (tokens: readonly Token[]): Word[] =>
  tokens
    .filter(({ word }) => /\p{L}/u.test(word) && !FUNCTION_WORDS.has(word) && word !== "'s" && !SUPPORT.has(word))
    .map(({ word }) => ({ word, base: baseOf(word) }));

/** Verbs and nouns that carry little in a question: `what is the process for …`, `is it possible to …`. */
const SUPPORT = new Set(
  `way ways process procedure method steps step possible able allowed permitted make get go take want need like would please
   know tell find help kind type sort thing things someone people person does doing done got getting possible best good right proper`.split(
    /\s+/,
  ),
);

export const baseOf = (word: string): string => {
  const base = basesOfPast(word)[0] ?? singularOf(word);
  const stem = /(?:[a-z]{3,})(?:ing|er|ion|ment|al)$/.test(base) ? base.replace(/(?:ing|er|ion|ment|al)$/, '') : base;
  return stem.replace(/e$/, '').replace(/([bdgklmnprt])\1$/, '$1');
};

interface Alignment {
  /** Words of one side with a counterpart on the other: a listed synonym, another form, a typing error. */
  readonly matched: number;
  /** Pairs of the others by how the thesaurus relates them. */
  readonly related: Record<Relation, number>;
  /** Words that are not in such a pair either, of each side. */
  readonly rest: readonly [readonly Word[], readonly Word[]];
}

/** The surest relation first: each word is in one pair at most. */
const RELATIONS: readonly Relation[] = ['same', 'near', 'wider', 'kin'];

function align(left: readonly Word[], right: readonly Word[]): Alignment {
  const rest: [Word[], Word[]] = [[...left], [...right]];
  const matched = paired(
    rest,
    (a, b) => a.base === b.base || soundAlike(a.base, b.base) || areSynonyms(a.base, b.base),
  );
  const related = { same: 0, near: 0, wider: 0, kin: 0 };
  for (const relation of RELATIONS) related[relation] = paired(rest, (a, b) => relationOf(a.word, b.word) === relation);
  return { matched, related, rest };
}

const rarityOfAll = (words: readonly Word[]): number => words.reduce((sum, { word }) => sum + rarityOf(word), 0);

/** Takes pairs out of the words of both sides. Returns their number. */
function paired([left, right]: [Word[], Word[]], is: (a: Word, b: Word) => boolean): number {
  const free = left.filter((word) => {
    const at = right.findIndex((other) => is(word, other));
    if (at >= 0) right.splice(at, 1);
    return at < 0;
  });
  const pairs = left.length - free.length;
  left.splice(0, left.length, ...free);
  return pairs;
}

/** Dice's coefficient of the trigrams of letters of two texts. */
function gramsShared(a: readonly Token[], b: readonly Token[]): number {
  const [mine, other] = [gramsOf(a), gramsOf(b)];
  let both = 0;
  for (const gram of mine) if (other.has(gram)) both += 1;
  return (2 * both) / Math.max(1, mine.size + other.size);
}
function gramsOf(tokens: readonly Token[]): Set<string> {
  const text = ` ${tokens.map(({ word }) => word).join(' ')} `;
  return new Set(Array.from({ length: Math.max(0, text.length - 2) }, (_, i) => text.slice(i, i + 3)));
}

/** Share of the words of two texts that stand in the same order, of those that both have. */
function inSameOrder(a: readonly Word[], b: readonly Word[]): number {
  const free = b.map(({ base }) => base);
  let both = 0;
  for (const { base } of a) {
    const at = free.indexOf(base);
    if (at < 0) continue;
    free.splice(at, 1);
    both += 1;
  }
  // The longest common subsequence.
  let above = b.map(() => 0);
  for (const { base } of a) {
    const row: number[] = [];
    for (const [i, each] of b.entries())
      row.push(each.base === base ? (above[i - 1] ?? 0) + 1 : Math.max(above[i] ?? 0, row[i - 1] ?? 0));
    above = row;
  }
  return both === 0 ? 1 : (above.at(-1) ?? 0) / both;
}

/** The last word with a meaning, which a question is mostly about, has no counterpart in either text. */
function headDiffers(a: readonly Token[], b: readonly Token[], rest: Alignment['rest']): boolean {
  const lost = (tokens: readonly Token[], words: readonly Word[]) => {
    const last = content(tokens).at(-1);
    return last !== undefined && words.some(({ word }) => word === last.word);
  };
  return lost(a, rest[0]) && lost(b, rest[1]);
}

const groups = new Map<string, Set<number>>();
for (const [i, row] of SYNONYM_GROUPS.entries())
  for (const word of row.split(' ')) {
    const key = baseOf(word);
    groups.set(key, (groups.get(key) ?? new Set()).add(i));
  }
function areSynonyms(a: string, b: string): boolean {
  const [mine, other] = [groups.get(a), groups.get(b)];
  return mine !== undefined && other !== undefined && [...mine].some((group) => other.has(group));
}

const whOf = (tokens: readonly Token[]): string | undefined => {
  const at = tokens.findIndex(({ word }) => WH.has(word));
  if (at < 0) return undefined;
  const word = tokens[at]?.word ?? '';
  const next = tokens[at + 1]?.word ?? '';
  if (word !== 'how') return word === 'which' ? 'what' : word;
  return FUNCTION_WORDS.has(next) && next !== 'many' && next !== 'much' ? 'how' : `how ${next}`;
};
const ASKED = new Set(['who', 'where', 'when', 'why']);
/** One asks who, where, when or why, the other something else that is asked for. */
function focusDiffers(a: readonly Token[], b: readonly Token[]): boolean {
  const [mine, other] = [whOf(a), whOf(b)];
  if (mine === other || mine === undefined || other === undefined) return false;
  return ASKED.has(mine) || ASKED.has(other) || (mine.startsWith('how ') && other.startsWith('how '));
}
const openingOf = (tokens: readonly Token[]): string => {
  const first = tokens[0]?.word ?? '';
  return WH.has(first)
    ? 'wh'
    : BE.has(first) || DO.has(first) || MODALS.has(first) || HAVE.has(first)
      ? 'yes-no'
      : 'other';
};
