import type { JsonObject } from '../pipelines/json.js';
import { sha256Hex } from '../pipelines/plan/hash.js';

/** Hashes of what callers have sent, by the inputs that schemas of pipelines have made of it. */
const hashes = new WeakMap<JsonObject, string>();

/**
 * Notes from what an input was made. Another version of the pipeline, with another default for instance, makes another input of the same
 * request, and a retry may reach a gateway that has that version.
 * @param given before the check, as JSON
 */
export const noteGiven = (input: JsonObject, given: string): void => void hashes.set(input, sha256Hex(given));

/** The input, as one that is made of the same as another. */
export function asGiven(input: JsonObject, other: JsonObject): JsonObject {
  const hash = hashes.get(other);
  if (hash !== undefined) hashes.set(input, hash);
  return input;
}

/** Hash of what an input was made of; undefined where that is not noted. */
export const givenHash = (input: JsonObject): string | undefined => hashes.get(input);
