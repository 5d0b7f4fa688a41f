/** A word, number or sign of a text. */
export interface Token {
  /** In lower case; contractions are written out. */
  readonly word: string;
  /**
   * Its capitalization: `upper` (two or more letters, all capital), `capital`, `start` (capital at the start of a
   * sentence), `plain`.
   */
  readonly letters: 'upper' | 'capital' | 'start' | 'plain';
}

/** A possessive `'s`. */
export const POSSESSIVE = "'s";

/**
 * Words (with inner marks, `U.S`, `o'clock`, `3.5`, `10:30`), signs that carry meaning, and pictographs. The parts of
 * each alternative are disjoint, so matching takes linear time on any input.
 */
const PIECES =
  /[\p{L}\p{M}\p{N}]+(?:['.,:/&-][\p{L}\p{M}\p{N}]+)*|[$€£¥₹%°+\-=<>^*/#&]|[.?!]|\p{Extended_Pictographic}/gu;

const SIGNS: Readonly<Record<string, string>> = {
  $: 'dollar',
  '€': 'euro',
  '£': 'pound',
  '¥': 'yen',
  '₹': 'rupee',
  '%': 'percent',
  '°': 'degree',
  '&': 'and',
};

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** Contractions that no rule covers, with and without the apostrophe, which is often omitted. */
const CONTRACTIONS: Readonly<Record<string, readonly string[]>> = {
  "can't": ['can', 'not'],
  cant: ['can', 'not'],
  cannot: ['can', 'not'],
  "won't": ['will', 'not'],
  wont: ['will', 'not'],
  "shan't": ['shall', 'not'],
  "ain't": ['is', 'not'],
  "let's": ['let', 'us'],
  gonna: ['going', 'to'],
  wanna: ['want', 'to'],
  gotta: ['have', 'to'],
  "y'all": ['you'],
};

const WITHOUT_APOSTROPHE = /^(is|are|was|were|do|does|did|has|have|had|could|would|should|must|need)nt$/;
const WH_WITHOUT_APOSTROPHE = /^(what|who|where|when|how|that|there)s$/;
/** After these words `'s` means `is`; after others it is a possessive. */
const IS_AFTER = new Set([
  'what',
  'who',
  'where',
  'when',
  'why',
  'how',
  'which',
  'it',
  'that',
  'there',
  'here',
  'he',
  'she',
]);
const ENDINGS: Readonly<Record<string, string>> = { re: 'are', m: 'am', ve: 'have', ll: 'will', d: 'would' };
const UNITS_AFTER_DIGITS =
  /^(\d+(?:\.\d+)?)(kg|g|mg|lb|lbs|oz|km|m|cm|mm|mi|ft|in|l|ml|h|hr|hrs|min|mins|s|sec|ms|am|pm|c|f|k|w|kw|v|gb|mb|tb|mph|kmh)$/;

/** The tokens of a text, at most `limit` + 1. */
export function tokensOf(text: string, limit: number): Token[] {
  const plain = plainText(text);
  const shouting = plain === plain.toUpperCase();
  const tokens: Token[] = [];
  let sentenceStart = true;
  for (const match of plain.matchAll(PIECES)) {
    if (tokens.length > limit) break;
    const piece = match[0];
    if (piece === '.' || piece === '?' || piece === '!') {
      sentenceStart = true;
      continue;
    }
    if (piece === '-' && !isMinus(plain, match.index)) continue;
    for (const part of partsOf(piece)) {
      const letters = shouting ? 'plain' : lettersOf(part, sentenceStart);
      for (const word of wordsOf(part)) tokens.push({ word, letters });
      sentenceStart = false;
    }
  }
  return tokens;
}

/**
 * Replaces compatibility forms by plain ones, except where that would change a value: `5²` is not 52, `1½` is not 11/2.
 */
function plainText(text: string): string {
  return text
    .replace(/[⁰¹²³⁴-⁹]/g, (digit) => `^${SUPERSCRIPTS.indexOf(digit)}`)
    .replace(/[\u00bc-\u00be\u2150-\u215e]/g, (fraction) => ` ${fraction}`)
    .normalize('NFKC')
    .replace(/[\u2018\u2019\u02bc]/g, "'")
    .replace(/[\u2010-\u2012\u2212]/g, '-')
    .replace(/\u2044/g, '/');
}

/** A hyphen between words is not a minus; one before a number is, unless it joins the number to something. */
function isMinus(text: string, at: number): boolean {
  const rest = text.slice(at + 1, at + 3);
  return /^ ?\d/.test(rest) && !/[\p{L}\p{N}]/u.test(text[at - 1] ?? '');
}

function lettersOf(piece: string, sentenceStart: boolean): Token['letters'] {
  const letters = piece.replace(/'s$/, '').replace(/[^\p{L}]/gu, '');
  if (letters.length > 1 && letters === letters.toUpperCase() && letters !== letters.toLowerCase()) return 'upper';
  if (!/^\p{Lu}/u.test(piece) || /^I(?:'|$)/.test(piece)) return 'plain';
  return sentenceStart ? 'start' : 'capital';
}

/** The parts of a piece whose inner marks join several words: `gluten-free`, `km/h`, `10-15`, `6:30`. */
function partsOf(piece: string): string[] {
  if (piece.length === 1) return [piece];
  if (/^\p{L}(?:\.\p{L})+$/u.test(piece)) return [piece.replaceAll('.', '')];
  const parts: string[] = [];
  for (const part of piece.split(/[-:]/)) {
    if (/^\d+(?:[.,/]\d+)*$/.test(part) || !/[,/]/.test(part)) parts.push(part);
    else parts.push(...part.split(/([,/])/).filter((inner) => inner !== ',' && inner !== ''));
  }
  return parts;
}

function wordsOf(part: string): readonly string[] {
  const word = part.toLowerCase();
  if (SIGNS[word] !== undefined) return [SIGNS[word]];
  if (Object.hasOwn(CONTRACTIONS, word)) return CONTRACTIONS[word] as readonly string[];
  const amount = UNITS_AFTER_DIGITS.exec(word);
  if (amount) return [amount[1] as string, amount[2] as string];
  const bare = WITHOUT_APOSTROPHE.exec(word);
  if (bare) return [bare[1] as string, 'not'];
  const wh = WH_WITHOUT_APOSTROPHE.exec(word);
  if (wh) return [wh[1] as string, 'is'];
  if (word.endsWith("n't")) return [word.slice(0, -3), 'not'];
  const [base = '', ending, ...more] = word.split("'");
  if (ending === undefined || more.length > 0) return [word];
  if (ending === 's') return [base, IS_AFTER.has(base) ? 'is' : POSSESSIVE];
  const written = ENDINGS[ending];
  return written === undefined ? [word] : [base, written];
}
