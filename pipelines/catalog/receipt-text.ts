/*
 * What can be read on a receipt by rules: rows, amounts of money, dates, currencies. Amounts are whole cents, so that sums
 * are exact.
 */

/** A piece of text that was found in the image. */
export interface Piece {
  readonly score: number;
  readonly text?: string | undefined;
  readonly box?: Box | undefined;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Row {
  readonly text: string;
  /** The least of its pieces. */
  readonly score: number;
}

/** Between the pieces of a row. */
export const GAP = '  ';
/** Of the thickness of a line: pieces whose middles are less apart are in one row. */
const SAME_ROW = 0.6;
/** By how much a row may rise or fall, of its length: 6 degrees. */
const ASKEW = 0.1;
/** Letters from which the direction of a text shows in its box. */
const LETTERS = 4;

/** Pieces in reading order as rows: on a receipt the name of a thing is far from its price. The page may lie on a side or on its head. */
export function rowsOf(pieces: readonly Piece[]): Row[] {
  const read = pieces.flatMap(({ text, score, box }) => (text?.trim() ? [{ text: text.trim(), score, box }] : []));
  const long = read.flatMap(({ text, box }) => (box && text.length >= LETTERS ? [box] : []));
  const stands = sum(long.map(({ height }) => height)) > sum(long.map(({ width }) => width));
  const places = read.map(({ box }) => box && placed(box, stands));
  const forward = directionOf(places, stands);
  const rows: { texts: string[]; score: number }[] = [];
  read.forEach(({ text, score }, i) => {
    const [last, row] = [places[i - 1], rows.at(-1)];
    const here = places[i];
    if (row && last && here && follows(last, here, forward)) {
      row.texts.push(text);
      row.score = Math.min(row.score, score);
    } else rows.push({ texts: [text], score });
  });
  return rows.map(({ texts, score }) => ({ text: texts.join(GAP), score }));
}

/** Where a piece is along the direction of reading and across it. */
interface Place {
  readonly along: number;
  readonly across: number;
  readonly length: number;
  readonly thick: number;
}

const placed = ({ x, y, width, height }: Box, stands: boolean): Place =>
  stands
    ? { along: y + height / 2, across: x + width / 2, length: height, thick: width }
    : { along: x + width / 2, across: y + height / 2, length: width, thick: height };

/** 1 or -1: which way reading goes along a row. Rows go down the page, which tells where its top is. */
function directionOf(places: readonly (Place | undefined)[], stands: boolean): number {
  const known = places.flatMap((place) => place ?? []);
  const [first, last] = [known.slice(0, Math.ceil(known.length / 2)), known.slice(Math.floor(known.length / 2))];
  const mean = (those: readonly Place[]) => sum(those.map(({ across }) => across)) / those.length;
  const down = mean(last) - mean(first);
  return (stands ? down > 0 : down < 0) ? -1 : 1;
}

function follows(last: Place, here: Place, forward: number): boolean {
  const step = (here.along - last.along) * forward;
  const thick = Math.min(last.thick, here.thick);
  // Not over the piece before, apart from the margins of both.
  if (step < (last.length + here.length) / 2 - thick) return false;
  return Math.abs(here.across - last.across) <= SAME_ROW * thick + ASKEW * step;
}

const NUMBER = String.raw`(?<![\d.,])(\d{1,3}(?:[ ,.'’]\d{3})+|\d+)`;
/** With two decimals, or whole with a sign of a currency that has none. Not of dates, shares and weights. */
const AMOUNT = new RegExp(
  String.raw`([-−–]\s?)?(?:[€$£]\s?)?${NUMBER}[.,]\s?(\d{2})(?![.,:/]?\d)(?!\s?(?:%|kg|g\b|l\b))([-−])?` +
    String.raw`|([-−–]\s?)?(?:[¥￥]\s?(\d[\d,]*)|(?<![\d,])(\d[\d,]*)\s?[元円])(?![.,]?\d)`,
  'gu',
);

export interface Amount {
  readonly cents: number;
  readonly start: number;
  readonly end: number;
}

/** Digits of an amount: the sums of more are not exact. */
const MOST_DIGITS = 10;

export const amountsIn = (text: string): Amount[] =>
  [...text.matchAll(AMOUNT)].flatMap((match) => {
    const [all, minus, whole, decimals, after, minusOfWhole, signed, named] = match;
    const digits = (whole ?? signed ?? named ?? '').replace(/\D/g, '');
    if (digits.length > MOST_DIGITS) return [];
    const cents = Number(digits) * 100 + Number(decimals ?? 0);
    const [start, end] = [match.index, match.index + all.length];
    // As bookkeepers write negative amounts.
    const enclosed = text[start - 1] === '(' && text[end] === ')';
    if (enclosed) return [{ cents: -cents, start: start - 1, end: end + 1 }];
    const negative = minus ?? after ?? minusOfWhole;
    return [{ cents: negative === undefined ? cents : -cents, start, end }];
  });

/** Names of months in English, German, French and Spanish, by their first letters without accents. */
const MONTHS = [
  ['jan', 'ene'],
  ['feb', 'fev'],
  ['mar', 'mrz'],
  ['apr', 'avr', 'abr'],
  ['may', 'mai', 'mayo'],
  ['jun', 'juin'],
  ['jul', 'juil'],
  ['aug', 'aou', 'ago'],
  ['sep'],
  ['oct', 'okt'],
  ['nov'],
  ['dec', 'dez', 'dic'],
] as const;

export interface ReadDate {
  readonly date: string;
  /** What it is if the month comes first, or the year, where both are possible. */
  readonly other?: string;
}

/** The first date of a text, as YYYY-MM-DD. */
export function dateIn(text: string): ReadDate | undefined {
  const iso = /(?<!\d)(\d{4})\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})(?!\d)/u.exec(text);
  if (iso) return whole(iso[1], iso[2], iso[3]);
  const numbers = /(?<!\d)(\d{1,2})\s?([./-])\s?(\d{1,2})\s?\2\s?(\d{4}|\d{2})(?!\d)/u.exec(text);
  if (numbers) {
    const [, first, separator, second, year = ''] = numbers;
    const [dayFirst, monthFirst] = [whole(year, second, first), whole(year, first, second)];
    const yearFirst = year.length === 2 ? whole(first, second, year) : undefined;
    // With points the month does not come first anywhere.
    if (separator === '.' || !monthFirst) return withYearFirst(dayFirst, yearFirst);
    if (!dayFirst) return monthFirst;
    return dayFirst.date === monthFirst.date ? dayFirst : { ...dayFirst, other: monthFirst.date };
  }
  const plain = text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  const named =
    /(?<!\d)(?<day>\d{1,2})\.?\s*(?:de\s)?(?<name>[a-z]{3,10})\.?,?\s*(?:de\s)?(?<year>\d{4})(?!\d)/.exec(plain) ??
    /(?<name>[a-z]{3,10})\.?\s*(?<day>\d{1,2})(?:st|nd|rd|th)?,?\s*(?<year>\d{4})(?!\d)/.exec(plain);
  const { day, name = '', year } = named?.groups ?? {};
  const month = MONTHS.findLastIndex((starts) => starts.some((start) => name.startsWith(start)));
  return month === -1 ? undefined : whole(year, String(month + 1), day);
}

/** 26.03.14 is more likely of 2026 than of 2014, and 14.03.26 as well. */
function withYearFirst(dayFirst: ReadDate | undefined, yearFirst: ReadDate | undefined): ReadDate | undefined {
  if (!dayFirst || !yearFirst || yearFirst.date <= dayFirst.date) return dayFirst;
  return { ...dayFirst, other: yearFirst.date };
}

/** A day of the calendar; undefined for the 31st of February. */
function whole(year = '', month = '', day = ''): ReadDate | undefined {
  const full = year.length === 2 ? `20${year}` : year;
  const date = `${full}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`;
  const time = new Date(`${date}T00:00:00Z`);
  return Number.isNaN(time.getTime()) || !time.toISOString().startsWith(date) ? undefined : { date };
}

const CODES = /\b(EUR|USD|GBP|CHF|JPY|CNY|RMB|SEK|NOK|DKK|PLN|CZK|CAD|AUD|NZD|INR|BRL|MXN|KRW|SGD|HKD|TRY|ZAR)\b/;
/** TRY is also a word: it counts beside an amount. */
const WORDS = /\bTRY\b(?!\s*\d[\d.,]*[.,]\d{2})(?<!\d[.,]\d{2}\s*TRY)/g;
const DOLLARS = /\b(CAD|AUD|NZD|SGD|HKD|MXN)\b/;
const SIGNS: readonly (readonly [RegExp, string])[] = [
  [/€/, 'EUR'],
  [/£/, 'GBP'],
  [/元/, 'CNY'],
  [/円/, 'JPY'],
  [/\$/, 'USD'],
];

const codeIn = (text: string): string | undefined => CODES.exec(text.toUpperCase().replace(WORDS, ''))?.[1];

/** The currency that a text names: by its code, else by its sign. ¥ is of two currencies and names none. */
export function currencyIn(text: string): string | undefined {
  const code = codeIn(text);
  if (code) return code === 'RMB' ? 'CNY' : code;
  return SIGNS.find(([sign]) => sign.test(text))?.[1];
}

/** The currencies that texts name, each once. $ is that of another country where its code is printed. */
export function currenciesIn(texts: readonly string[], all: string): readonly string[] {
  const dollar = DOLLARS.exec(all.toUpperCase())?.[1];
  const named = texts.flatMap((text) => {
    const currency = currencyIn(text) ?? [];
    return currency === 'USD' && codeIn(text) === undefined ? (dollar ?? currency) : currency;
  });
  return [...new Set(named)];
}

export const withoutCurrency = (text: string): string => text.replace(CODES, '');

/** Letters and digits alone: how a text is compared, since reading drops spaces and points. */
export const plain = (text: string): string =>
  text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '');

export const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
