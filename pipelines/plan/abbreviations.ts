/** What a period does not end, of some languages: titles, abbreviations by what may follow them, initials, ordinals. */

/** Never the end of a sentence. */
export const TITLES = words(
  'mr mrs ms mx dr prof rev hon st mt ft gen col maj capt lt sgt gov sen rep pres vs no nr fig figs eq sec ch vol pp ed eds ' +
    'cf al approx ca e.g i.e viz resp dept univ assn tel ext est z.b d.h u.a o.ä bzw evtl ggf hr fr frl str bsp mme mlle sra srta ud uds ' +
    'jan feb mar apr jun jul aug sept sep oct nov dec',
);
/** May end one: before a capital letter they do. */
export const OPEN = words('etc usw inc ltd co corp jr sr bros a.m p.m ph.d b.a m.a m.d u.s.a');

/** More that is never the end of one, which streams alone know: of addresses, prices and persons. */
const NEVER = words('ave blvd rd inkl exkl zzgl abzgl sig sigg dott avv dhr mevr mw drs ул пл пер проф акад св');
/** No end before a number: "p. 12", "c. 1850", "max. 5 Personen", "с. 7". */
const BEFORE_NUMBER = words('p c n v art para max min abb tab kap bd pág с стр рис гл п ст т д');

/** Behind these a number with a period is an ordinal of German, whose nouns have capitals: "am 3. Oktober", "3. und 4. Mai". */
const BEFORE_ORDINAL =
  /(?:(?<!\bI\s)\bam|\b(?:vom|zum|zur|beim|im|ins|der|die|das|dem|den|des|ab|bis|seit|(?:mon|diens|donners|frei|sams|sonn)tag,?|mittwoch,?|sonnabend,?)|(?<!\d)\d{1,3}\.(?:\s+(?:und|oder|bis))?)\s+\d{1,3}$/i;

/** Words of a sentence's beginning, not names, before the "Sr." of Spanish and Portuguese. */
const BEFORE_SR = words('el al del un su mi o ao do pelo estimado estimada querido distinguido caro prezado hola olá');

/** A letter that is a title, as in "د. أحمد", or a town, "г. Москва"; of a year it may end a sentence: "в 1990 г." */
const LETTER = /^(?:г|(?=\p{L})[\p{Script=Arabic}\p{Script=Hebrew}])$/u;

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '));
}

/**
 * Whether a word with a period is an abbreviation that ends no sentence, as streams know it.
 * @param before the text before it
 * @param next the first character of the next word; undefined if it is not there yet
 */
export function isAbbreviation(word: string, before: string, next: string | undefined): boolean {
  // "5 MW." is no title, "Mw. Jansen" is.
  const known = `${word.charAt(0).toLowerCase()}${word.slice(1)}`;
  if (NEVER.has(known)) return true;
  if (LETTER.test(known)) return !/\p{Nd}\s*$/u.test(before.slice(-8));
  if (BEFORE_NUMBER.has(known)) return next === undefined || /\p{Nd}/u.test(next);
  if (word.toLowerCase() === 'sr') return !followsName(before);
  return /^\d+$/.test(word) && BEFORE_ORDINAL.test(`${before.slice(word.length - 32)}${word}`);
}

/** Whether a text ends with a name, as before "Sr." in English: "John Smith, Sr." */
function followsName(text: string): boolean {
  const before = /(\p{Lu}[\p{L}.'’-]*),?\s+$/u.exec(text.slice(-40))?.[1];
  return before !== undefined && !BEFORE_SR.has(before.toLowerCase());
}

/**
 * Whether the period between these two indices parts a plural of Spanish, "EE. UU.": two doubled capital letters. `perhaps` if more text is
 * needed to tell.
 */
export function partsPlural(text: string, at: number, end: number): 'yes' | 'no' | 'perhaps' {
  if (!/(?:^|[^\p{L}\p{N}])(\p{Lu})\1$/u.test(text.slice(Math.max(0, at - 3), at))) return 'no';
  const rest = text.slice(end);
  if (/^\s+(\p{Lu})\1\./u.test(rest)) return 'yes';
  return /^\s*(?:(\p{Lu})\1?)?$/u.test(rest) ? 'perhaps' : 'no';
}
