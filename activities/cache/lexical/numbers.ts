import { type Token, tokenOf } from './tokens.js';
import { FUNCTION_WORDS, STARTERS } from './words.js';

/** English number words; others remain words, which must match too. */
const SMALL =
  'two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'
    .split(' ')
    .map((word, i) => [word, i + 2] as const);
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'
  .split(' ')
  .map((word, i) => [word, 20 + 10 * i] as const);
const VALUES = new Map<string, number>([['one', 1], ...SMALL, ...TENS]);
const SCALES = new Map([
  ['hundred', 100],
  ['thousand', 1_000],
  ['million', 1e6],
  ['billion', 1e9],
]);

export const isNumber = (word: string): boolean => /^\p{N}/u.test(word);

/** Numbers in digits: `twenty-five` and `two hundred` as `25` and `200`, `1,000` as `1000`. Single `one` stays a word. */
export function withDigits(tokens: readonly Token[]): Token[] {
  const parts = tokens.flatMap((token) =>
    /^[a-z]+-[a-z]+$/.test(token.word) && token.word.split('-').every((part) => VALUES.has(part))
      ? token.raw.split('-').map((part, i) => tokenOf(part, token.start && i === 0))
      : [token],
  );
  // `The sum of two hundred and five`, `the average of 100,200`: of several numbers.
  const several = parts.some(({ word }) => SEVERAL.has(word));
  const works = parts.some(({ word }) => WORKS.has(word));
  const out: Token[] = [];
  for (let at = 0; at < parts.length; ) {
    const token = parts[at] as Token;
    const before = parts[at - 1];
    const found = works || isTitle(token, before) ? undefined : readNumber(parts, at, several);
    // `Nineteen ten` is 1910, `two thirty` a time: what follows says what a number is.
    const alone = found && !isNumeral(parts[at + found.length]) && !isNumeral(before);
    const read = alone ? found : undefined;
    out.push(read ? tokenOf(read.digits, token.start) : several || isList(before) ? token : plainDigits(token));
    at += read?.length ?? 1;
  }
  return out;
}

/** What is done with more than one number. */
const SEVERAL = new Set(
  'sum total product average mean median mode range difference ratio proportion between add adding plus subtract minus multiply divide both either greater less list sort sequence numbers'.split(
    ' ',
  ),
);
/** `Nine` and `9` are two films. */
const WORKS = new Set(
  'directed director film films movie movies starred stars starring song songs sang sings album albums band bands novel episode plays played character soundtrack'.split(
    ' ',
  ),
);

/** A number, or a word of one. */
export const isNumeral = (token: Token | undefined): boolean =>
  token !== undefined && (VALUES.has(token.word) || SCALES.has(token.word) || isNumber(token.word));

/** `Who directed Seven`, `Ocean’s Eleven`: a capital makes it a name, unless it is the number of one (`World War Two`). */
const isTitle = ({ raw, start }: Token, before: Token | undefined): boolean =>
  !start && /^\p{Lu}\p{Ll}/u.test(raw) && !(before !== undefined && isName(before));
const isName = ({ raw, word, start }: Token): boolean => /^\p{Lu}/u.test(raw) && !(start && STARTERS.has(word));

/** `Rows 1,200` may be two of them. */
const isList = (before: Token | undefined): boolean =>
  before !== undefined && /^\p{Ll}{3,}s$/u.test(before.raw) && !FUNCTION_WORDS.has(before.word);

/** `1,000` is 1000. Anything else (`3,5`, `007`, `1.0`, `1.2.3`) equals only itself. */
const plainDigits = (token: Token): Token =>
  /^[1-9]\d{0,2}(?:,\d{3})+$/.test(token.raw) ? tokenOf(token.raw.replaceAll(',', ''), token.start) : token;

/** `[small] (hundred|thousand…)…`; each scale smaller than the one before it, so that nothing is read in two ways. */
function readNumber(
  tokens: readonly Token[],
  at: number,
  several: boolean,
): { digits: string; length: number } | undefined {
  let [total, part, next, least] = [0, 0, at, Number.POSITIVE_INFINITY];
  for (;;) {
    const small = part === 0 || part % 100 === 0 ? readSmall(tokens, next) : undefined;
    if (small && (next === at || isScale(tokens[next - 1]) || isAnd(tokens, next - 1))) {
      part += small.value;
      next += small.length;
      continue;
    }
    const scale = SCALES.get(tokens[next]?.word ?? '');
    if (scale !== undefined && scale < least && part > 0 && (scale > 100 || part < 100)) {
      part *= scale;
      if (scale > 100) {
        total += part;
        part = 0;
        least = scale;
      }
      next += 1;
      continue;
    }
    if (!several && isAnd(tokens, next) && readSmall(tokens, next + 1) && isScale(tokens[next - 1])) {
      next += 1;
      continue;
    }
    break;
  }
  const value = total + part;
  return next === at || value < 2 ? undefined : { digits: String(value), length: next - at };
}

const isScale = (token: Token | undefined): boolean => SCALES.has(token?.word ?? '');
const isAnd = (tokens: readonly Token[], at: number): boolean => tokens[at]?.word === 'and';

function readSmall(tokens: readonly Token[], at: number): { value: number; length: number } | undefined {
  const value = VALUES.get(tokens[at]?.word ?? '');
  if (value === undefined) return undefined;
  const one = VALUES.get(tokens[at + 1]?.word ?? '');
  if (value >= 20 && one !== undefined && one < 10) return { value: value + one, length: 2 };
  return { value, length: 1 };
}
