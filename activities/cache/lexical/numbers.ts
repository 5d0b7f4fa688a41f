/** English number words; others remain words, which must match too. */
const ONES =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const SCALES: Readonly<Record<string, number>> = {
  hundred: 100,
  thousand: 1_000,
  million: 1e6,
  billion: 1e9,
  trillion: 1e12,
};
const ORDINALS =
  'first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth'.split(
    ' ',
  );
const ROMAN: Readonly<Record<string, number>> = Object.fromEntries(
  'i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx'
    .split(' ')
    .map((numeral, i) => [numeral, i + 1]),
);

const VALUES = new Map<string, number>([
  ...ONES.map((word, i) => [word, i] as const),
  ...TENS.map((word, i) => [word, 20 + 10 * i] as const),
]);

/** The value of a number word below 100 or of a scale (`hundred`); undefined for other words. */
const wordValue = (word: string): number | undefined => VALUES.get(word);
const scaleValue = (word: string): number | undefined => (Object.hasOwn(SCALES, word) ? SCALES[word] : undefined);
export const romanValue = (word: string): number | undefined => (Object.hasOwn(ROMAN, word) ? ROMAN[word] : undefined);

/** `first`, `1st` and `21st` as `1.`, `21.`; undefined for all else. */
export function ordinalOf(word: string): string | undefined {
  const digits = /^(\d{1,6})(?:st|nd|rd|th)$/.exec(word)?.[1];
  if (digits !== undefined) return `${Number(digits)}.`;
  const at = ORDINALS.indexOf(word);
  return at < 0 ? undefined : `${at + 1}.`;
}

/**
 * Digits in one form: `1,000` and `1000.0` are 1000. Ambiguous ones (`3,5`, `007`, `1.2.3`) are kept as written, so
 * that they equal only themselves.
 */
function digitsOf(word: string): string | undefined {
  if (!/^\d/.test(word) || !/^\d+(?:[.,/]\d+)*$/.test(word)) return undefined;
  const joined = /^\d{1,3}(?:,\d{3})+(?:\.\d+)?$/.test(word) ? word.replaceAll(',', '') : word;
  return /^(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?$/.test(joined) ? String(Number(joined)) : joined;
}

/**
 * The number that starts at `at`, in digits, and its number of words. `twenty five` is 25, `nineteen ninety eight`
 * 1998.
 */
export function readNumber(words: readonly string[], at: number): { digits: string; length: number } | undefined {
  const first = words[at];
  if (first === undefined) return undefined;
  const digits = digitsOf(first);
  if (digits !== undefined) {
    const scale = scaleValue(words[at + 1] ?? '');
    return scale !== undefined && /^[\d.]+$/.test(digits)
      ? { digits: String(Number(digits) * scale), length: 2 }
      : { digits, length: 1 };
  }
  const small = readBelowHundred(words, at);
  if (!small && scaleValue(first) === undefined) return undefined;
  const year = small && small.value >= 13 && small.value <= 20 ? readBelowHundred(words, at + small.length) : undefined;
  if (small && year && year.value >= 10) {
    return { digits: String(100 * small.value + year.value), length: small.length + year.length };
  }
  return readScaled(words, at);
}

function readScaled(words: readonly string[], at: number): { digits: string; length: number } {
  let total = 0;
  let part = 0;
  let next = at;
  for (;;) {
    const small = readBelowHundred(words, next);
    const scale = scaleValue(words[next] ?? '');
    if (small && part % 100 === 0 && (part === 0 ? next === at || total > 0 : true)) {
      part += small.value;
      next += small.length;
    } else if (scale !== undefined) {
      part = Math.max(part, 1) * scale;
      if (scale > 100) {
        total += part;
        part = 0;
      }
      next += 1;
    } else if (
      words[next] === 'and' &&
      next > at &&
      scaleValue(words[next - 1] ?? '') !== undefined &&
      readBelowHundred(words, next + 1)
    ) {
      next += 1;
    } else {
      return { digits: String(total + part), length: next - at };
    }
  }
}

function readBelowHundred(words: readonly string[], at: number): { value: number; length: number } | undefined {
  const value = wordValue(words[at] ?? '');
  if (value === undefined) return undefined;
  const one = wordValue(words[at + 1] ?? '');
  if (value >= 20 && one !== undefined && one > 0 && one < 10) return { value: value + one, length: 2 };
  return { value, length: 1 };
}
