import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';

/** The value of an entry of a channel `entries`. */
export const entryValue = (entry: Json): Json =>
  isJsonObject(entry) ? ((entry as { value?: Json }).value ?? null) : null;

/** A piece of audio as others get it: what only the voice needs is left out. */
export const pieceOf = ({ audio = null, text = '', at = 0 }: JsonObject, number: number): JsonObject => ({
  audio,
  number,
  text,
  at,
});

/** An entry of a channel as the collected list has it; undefined for a sentence without words, which it lacks. */
export function listedValue(of: string, value: Json, number: number): Json | undefined {
  if (of === 'entries') return entryValue(value);
  if (of === 'chunks') return isJsonObject(value) ? pieceOf(value, number) : null;
  if (of !== 'sentences') return value;
  const sentence = String(value).trim();
  return sentence === '' ? undefined : sentence;
}
