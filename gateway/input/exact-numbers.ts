import type { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json } from '../../pipelines/json.js';
import { longIntegersOf, lostBetween, lostInteger } from '../../protocols/open-inference/index.js';

/**
 * Throws `INVALID_INPUT` for JSON with an integer that a number does not hold: the run would get another one. The error names its field.
 * @param value the text as it was parsed
 * @param path of the value; its fields are named without it where it is undefined
 */
export function expectExact(value: Json, text: string, path?: string): void {
  const lost = lostInteger(value, text);
  if (lost !== undefined) throw tooLong([...(path === undefined ? [] : [path]), ...lost]);
}

const tooLong = (keys: readonly string[]): MillraceError =>
  invalidField(
    keys.join('.') || 'body',
    'is an integer of more digits than a number holds (above 2^53); send it as a text',
  );

/** Bodies that have such integers, as they are written. */
const noted = new WeakMap<object, unknown>();

/** Notes such integers of a body, for a door that refuses them in a form of its protocol. */
export function noteInexact(body: Json, text: string): void {
  const exact = typeof body === 'object' && body !== null ? longIntegersOf(text) : undefined;
  if (exact !== undefined && lostBetween(body, exact)) noted.set(body as object, exact);
}

/**
 * Throws `INVALID_INPUT` for a body with such an integer in a value.
 * @param above keys from the top of the body to the one that holds the value, which the error's field is named without
 * @param keys from there to the value
 */
export function expectExactIn(body: Json, above: readonly string[], ...keys: readonly string[]): void {
  const written = typeof body === 'object' && body !== null ? noted.get(body) : undefined;
  if (written === undefined) return;
  let [value, exact]: readonly unknown[] = [body, written];
  for (const key of [...above, ...keys]) [value, exact] = [memberOf(value, key), memberOf(exact, key)];
  const lost = lostBetween(value, exact);
  if (lost) throw tooLong([...keys, ...lost]);
}

const memberOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
