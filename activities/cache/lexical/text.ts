/**
 * Longer texts differ unless they are identical. Embedders truncate a text (MiniLM at 256 tokens, some 1000
 * characters), and the longer two texts are, the less one word moves their vectors.
 */
export const MAX_CHARS = 512;

/** Letters of Western European languages, digits, and the signs that a plain English sentence has. */
const PLAIN = /^[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff0-9 ,.?!'$€£%:\u2026-]*$/;

/**
 * Signs with a meaning of their own: a hyphen that joins nothing (a minus) or joins digits (a range, a difference), a
 * point or colon outside words and times, a quote, a currency without its amount, a percent sign without its number,
 * and a prime (`6'`).
 */
const ODD =
  /(?<![\p{L}\p{N}])-|-(?![\p{L}\p{N}])|\d-\d|(?<![\p{L}\p{N}.?!\u2026 ])[.\u2026]|[.\u2026](?=\p{L}*\d)(?<!\d[.])|(?<!\d):|:(?!\d\d)|(?<![\p{L}\p{N}])'|(?<!s)'(?![\p{L}\p{N}])|'(?=\d)|\d'|[$€£](?!\d)|(?<!\d)%|%(?=[\p{L}\p{N}])/u;

/** Whether spaces, a capital at the start and the mark at the end of a text are mere spelling. */
export const isPlain = (text: string): boolean => PLAIN.test(text) && !ODD.test(text);

/**
 * Letters with their accents as one character. Other characters are kept even if Unicode has another that it calls equal,
 * as the sign for kelvin and the letter K, or two forms of a Chinese character in a name. Of more than 30 marks on one letter
 * (the limit of Unicode's stream-safe text format, UAX #15) the others are kept as they are: sorting them takes the square of their
 * number.
 */
export const composed = (text: string): string =>
  text.replace(/\p{L}\p{M}{1,30}|[\uac00-\ud7a3]?[\u1100-\u11ff]+/gu, (letters) => letters.normalize('NFC'));

/** A sentence on one line with single spaces, and with plain apostrophes in its words. A tab may separate columns. */
export const lineOf = (text: string): string =>
  text
    .trim()
    .replace(/[ \u00a0]+/g, ' ')
    .replace(/(?<=\p{L})[\u2018\u2019\u02bc](?=\p{L})/gu, "'");

/** Without empty lines before it and spaces behind it. The indentation of the first of several lines may count. */
function trimmed(text: string): string {
  const lines = text.replace(/^(?:[ \t]*\r?\n)+/, '').trimEnd();
  return lines.includes('\n') ? lines : lines.trim();
}

/** Words whose capital at the start of a text says nothing. */
const OPENERS =
  /^(?:What|Which|Who|Whose|How|When|Where|Why|Is|Are|Was|Were|Do|Does|Did|Can|Could|Should|Would|Has|Have|Had|The|An?|Please|Tell|It|You|This|That|There|In|On|At|For|To|If|I(?=[' ]))(?![\p{L}\p{N}])/u;

/** Of these small words the capital says whether they are a symbol or a name: indium and inch, iodine and the imaginary unit, a key and a child. */
const SYMBOL =
  /^(?:a|in|on|at|to|i)(?= (?:is|are|was|were|as|in|of|or|and|vs|versus|stands?|equals?|means?|plus|minus|times|minor|major|sharp|flat)(?![\p{L}\p{N}]))/iu;
/** `In is the symbol of what`, `A flat is which note`. */
export const opensWithSymbol = (text: string): boolean => SYMBOL.test(text);

/** In a text with one of these the layout may be what is asked about: spaces, capitals, the marks at its end. */
const LAYOUT =
  /\b(?:spac(?:es?|ing)|whitespaces?|blanks?|indent\w*|gaps?|(?:upper|lower)[- ]?case|capitali[sz]\w*|(?:capital|small|first|last) letters?|full stops?|question marks?|punctuat\w*|proofread|verbatim)\b/i;
export const isAboutLayout = (text: string): boolean => LAYOUT.test(text);

/** Behind these words a full stop may say that nothing is asked: `who cares.` */
const MAY_ASK =
  /^(?:what|which|who|whom|whose|how|when|where|why|is|are|am|was|were|be|do|does|did|can|could|may|might|must|should|would|will|shall|has|have|had)(?![\p{L}\p{N}])/iu;

/**
 * The form in which two texts are *the same text*: composed characters, and in a plain text plain apostrophes, single
 * spaces, no full stop at the end of what opens as a statement, a lower-case first letter of a word that opens questions. Anything that
 * may carry meaning is kept: case (`US`, `us`), marks (`5!`), superscripts (`5²`, which NFKC would turn into `52`), the
 * spaces and lines of code, and everything in a text about spaces, capitals or marks.
 */
export function normaliseText(text: string): string {
  const form = trimmed(composed(text));
  const line = lineOf(form);
  if (form.includes('\n') || !isPlain(line) || isAboutLayout(line)) return form;
  const body = MAY_ASK.test(line) ? line : line.replace(/(?<=[ -][a-z]{2,})\.$/, '');
  return OPENERS.test(body) && !opensWithSymbol(body) ? body.charAt(0).toLowerCase() + body.slice(1) : body;
}
