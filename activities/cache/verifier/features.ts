import type { Difference } from '../lexical/difference.js';
import { basesOfPast, singularOf } from '../lexical/inflection.js';
import type { Token } from '../lexical/tokens.js';
import { ARTICLES, BE, DO, FUNCTION_WORDS, HAVE, MODALS, PREPOSITIONS, PRONOUNS, WH } from '../lexical/words.js';
import { SYNONYM_GROUPS, soundAlike } from './synonyms.js';

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
] as const;

/**
 * Numbers about a soft difference. Symmetric: the order of the two texts does not matter.
 *
 * @param similarity cosine of the texts' embeddings
 * @param synonyms false: as if no synonyms were known, for training
 */
export function featuresOf(
  a: readonly Token[],
  b: readonly Token[],
  found: Difference,
  similarity: number,
  synonyms = true,
): number[] {
  const [left, right] = [found.only[0], found.only[1]];
  const [mine, other] = [content(left), content(right)];
  const { matched, unmatched } = match(mine, other, synonyms);
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
    unmatched,
    focusDiffers(a, b) ? 1 : 0,
    count((word) => PRONOUNS.has(word)),
    count((word) => ARTICLES.has(word)),
    count((word) => PREPOSITIONS.has(word)),
    count((word) => BE.has(word) || DO.has(word) || HAVE.has(word) || MODALS.has(word)),
    count((word) => /^[,.?]$/.test(word)),
    found.kind === 'capitals' ? 1 : 0,
    openingOf(a) === openingOf(b) ? 1 : 0,
  ];
}

const content = (tokens: readonly Token[]): string[] =>
  tokens
    .filter(({ word }) => /\p{L}/u.test(word) && !FUNCTION_WORDS.has(word) && word !== "'s" && !SUPPORT.has(word))
    .map(({ word }) => baseOf(word));

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

/** Words of one side with a counterpart on the other (a synonym, another form, a typing error), and without. */
function match(
  left: readonly string[],
  right: readonly string[],
  synonyms: boolean,
): { matched: number; unmatched: number } {
  const free = [...right];
  let matched = 0;
  for (const word of left) {
    const at = free.findIndex(
      (other) => other === word || soundAlike(word, other) || (synonyms && areSynonyms(word, other)),
    );
    if (at < 0) continue;
    free.splice(at, 1);
    matched += 1;
  }
  return { matched, unmatched: left.length - matched + free.length };
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
