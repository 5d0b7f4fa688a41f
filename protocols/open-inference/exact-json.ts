/*
 * JSON with exact integers. `JSON.parse` rounds integers beyond 2^53, and `JSON.stringify` writes a decimal text as a
 * string where the protocol requires a number. (`JSON.rawJSON` and a reviver's source text are not in Node 20.)
 */

/** An integer of 16 digits or more. May match inside a string, which only costs an unneeded scan. */
const LONG_INTEGER = /[[,:\s]-?\d{16,}[\],}\s]/;
/** A number, matched at its first character. */
const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const INTEGER = /^-?\d+$/;

/**
 * Like `JSON.parse`, but returns the decimal text of an integer that a number cannot represent exactly. Throws
 * `SyntaxError`. The text is parsed before it is searched for numbers: one that is no JSON may consist of millions of them,
 * which whoever counts the commas of a text does not see.
 */
export function parseExactly(text: string): unknown {
  const rounded: unknown = JSON.parse(text);
  return LONG_INTEGER.test(text) ? withoutRounding(text) : rounded;
}

/** The value of a text that is JSON. */
const withoutRounding = (json: string): unknown => JSON.parse(withLongIntegersQuoted(json));

function withLongIntegersQuoted(text: string): string {
  const pieces: string[] = [];
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      at = endOfString(text, at);
    } else if (character === MINUS || (character >= ZERO && character <= NINE)) {
      NUMBER.lastIndex = at;
      const [number = text.charAt(at)] = NUMBER.exec(text) ?? [];
      if (INTEGER.test(number) && !Number.isSafeInteger(Number(number))) {
        pieces.push(text.slice(copied, at), `"${number}"`);
        copied = at + number.length;
      }
      at += number.length;
    } else {
      at += 1;
    }
  }
  return pieces.join('') + text.slice(copied);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

/** The index after the string that begins at `start`; the length of the text if the string is not closed. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) return at + 1;
    if (character === BACKSLASH) at += 1;
  }
  return text.length;
}

/** Digits of the least integer that a number does not hold. */
const LONG = /\d{16}/;

interface Key {
  readonly key: string;
  readonly above: Key | undefined;
}

/**
 * Where a JSON text has an integer that a number does not hold, such as 9007199254740993: keys and indices from the top. Undefined if it
 * has none.
 * @param value the text as `JSON.parse` read it
 */
export function lostInteger(value: unknown, text: string): readonly string[] | undefined {
  const exact = longIntegersOf(text);
  return exact === undefined ? undefined : lostBetween(value, exact);
}

/** A text that is JSON as `parseExactly` reads it; undefined if it has no long integer. */
export function longIntegersOf(text: string): unknown {
  if (!LONG.test(text)) return undefined;
  // A long integer is exact within a list, not alone.
  const list = `[${text}]`;
  return LONG_INTEGER.test(list) ? (withoutRounding(list) as readonly unknown[])[0] : undefined;
}

/**
 * As `lostInteger`, of a text that has been read twice.
 * @param exact the text as `longIntegersOf` read it
 */
export function lostBetween(value: unknown, exact: unknown): readonly string[] | undefined {
  const open: { readonly value: unknown; readonly exact: unknown; readonly at: Key | undefined }[] = [
    { value, exact, at: undefined },
  ];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value: read, exact: written, at } = next;
    if (typeof read === 'number' && typeof written === 'string' && !isSame(read, written)) return keysTo(at);
    if (typeof read !== 'object' || read === null) continue;
    for (const [key, part] of Object.entries(read)) {
      open.push({ value: part, exact: (written as Readonly<Record<string, unknown>>)[key], at: { key, above: at } });
    }
  }
  return undefined;
}

/** Programs write a number above 2^53 by the digits that tell it from others, then zeros: 2^60 as 1152921504606847000. */
const isSame = (value: number, digits: string): boolean =>
  String(value) === digits || (Number.isFinite(value) && BigInt(value) === BigInt(digits));

function keysTo(at: Key | undefined): string[] {
  const keys: string[] = [];
  for (let here = at; here; here = here.above) keys.push(here.key);
  return keys.reverse();
}

/** A JSON array of numbers; decimal texts are written as numbers too. */
export const numbersJson = (values: readonly (number | string)[]): string =>
  `[${values.map((value) => (typeof value === 'string' ? String(BigInt(value)) : JSON.stringify(value))).join(',')}]`;
