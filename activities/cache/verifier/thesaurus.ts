import { basesOfPast, singularOf } from '../lexical/inflection.js';
import { ROWS } from './thesaurus-data.js';

/** A word of the thesaurus. */
interface Sense {
  readonly word: string;
  /** Binary logarithm of its rank by frequency. */
  readonly rarity: number;
  readonly noun: boolean;
  readonly usual: ReadonlySet<string>;
  readonly rare: ReadonlySet<string>;
  /** What its usual meanings are kinds of. */
  readonly kinds: ReadonlySet<string>;
  readonly opposites: ReadonlySet<string>;
}

/**
 * How two words are related: `same` in usual meanings of both, `near` in a rare one of either, `wider` if one names a kind of the
 * other, `kin` if both name kinds of one thing (violin and cello).
 */
export type Relation = 'same' | 'near' | 'wider' | 'kin';

let words: ReadonlyMap<string, Sense> | undefined;

/** Parsed at its first use. */
function thesaurus(): ReadonlyMap<string, Sense> {
  const set = (list = ''): ReadonlySet<string> => new Set(list === '' ? [] : list.split(','));
  words ??= new Map(
    ROWS.split(' ').map((row) => {
      const [word = '', rank = '', part, usual, rare, kinds, opposites] = row.split(':');
      const sense = {
        word,
        rarity: Number.parseInt(rank, 36) / 8,
        noun: part === 'n',
        usual: set(usual),
        rare: set(rare),
        kinds: set(kinds),
        opposites: set(opposites),
      };
      return [word, sense] as const;
    }),
  );
  return words;
}

/** The forms that a word may be listed under, itself first. */
function formsOf(word: string): readonly string[] {
  const forms = [word, singularOf(word), ...basesOfPast(word)];
  const stem = /^(.{3,})(?:ing|er|est|ly)$/.exec(word)?.[1];
  if (stem !== undefined)
    forms.push(stem, `${stem}e`, stem.replace(/([bdgklmnprt])\1$/, '$1'), stem.replace(/i$/, 'y'));
  return forms;
}

/** Senses of the latest words: a pair of texts compares each with several. */
const known = new Map<string, readonly Sense[]>();
const MOST_KNOWN = 4_096;

/** The listed forms of a word, nearest first. */
function sensesOf(word: string): readonly Sense[] {
  const before = known.get(word);
  if (before) return before;
  const all = thesaurus();
  const found = [...new Set(formsOf(word).flatMap((form) => all.get(form) ?? []))];
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(word, found);
  return found;
}

const senseOf = (word: string): Sense | undefined => sensesOf(word)[0];

/** Rarity of a word that is not listed: rarer than most. */
const UNKNOWN = 13;

/** How rare a word is: binary logarithm of its rank. */
export const rarityOf = (word: string): number => senseOf(word)?.rarity ?? UNKNOWN;

/** Whether a form of a word is listed. */
export const isKnown = (word: string): boolean => senseOf(word) !== undefined;

/** Mostly a noun, or not listed. */
export const isNoun = (word: string): boolean => senseOf(word)?.noun ?? true;

const meets = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => {
  for (const each of a) if (b.has(each)) return true;
  return false;
};

/** How two words are related; undefined: not at all, or they are not known. Symmetric. */
export function relationOf(a: string, b: string): Relation | undefined {
  const [mine, other] = [senseOf(a), senseOf(b)];
  if (!mine || !other) return undefined;
  if (meets(mine.usual, other.usual)) return 'same';
  if (meets(mine.usual, other.rare) || meets(mine.rare, other.usual)) return 'near';
  if (meets(mine.kinds, other.usual) || meets(mine.usual, other.kinds)) return 'wider';
  return meets(mine.kinds, other.kinds) ? 'kin' : undefined;
}

/** One is an opposite of the other (include and exclude). */
export const areOpposed = (a: string, b: string): boolean => isOpposite(a, b) || isOpposite(b, a);
const isOpposite = (word: string, of: string): boolean =>
  sensesOf(word).some((sense) => senseOf(of)?.opposites.has(sense.word));
