import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';
import { parseExactly } from '../../protocols/open-inference/index.js';
import { expectModest } from './input-size.js';

/** Digits of the least integer that a number does not hold. */
const LONG = /\d{16}/;

/**
 * Throws `INVALID_INPUT` for JSON with an integer that a number does not hold, such as 9007199254740993: the run would get another one.
 * The error names its field.
 * @param value the text as it was parsed
 * @param path of the value; its fields are named without it where it is undefined
 */
export function expectExact(value: Json, text: string, path?: string): void {
  if (!LONG.test(text)) return;
  expectModest(value, path ?? 'body');
  // A number is exact within a list, not alone.
  const found = changedIn([value], parseExactly(`[${text}]`) as Json)?.slice(1);
  if (found === undefined) return;
  const field = [...(path === undefined ? [] : [path]), ...found].join('.') || 'body';
  throw invalidField(field, 'is an integer of more digits than a number holds (above 2^53); send it as a text');
}

/** The path of the first number that is another one than in the text. `exact`: the value with long integers as texts. */
function changedIn(value: Json, exact: Json): string[] | undefined {
  if (typeof value === 'number') return typeof exact === 'string' && !isSame(value, exact) ? [] : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  const within = exact as Readonly<Record<string, Json>>;
  for (const [key, part] of Object.entries(value)) {
    const found = changedIn(part as Json, within[key] as Json);
    if (found) return [key, ...found];
  }
  return undefined;
}

const isSame = (value: number, digits: string): boolean => Number.isFinite(value) && BigInt(value) === BigInt(digits);
