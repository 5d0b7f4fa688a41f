import { isJsonObject, type Json } from '../json.js';

/** Limits of all schemas of one request, or of one server’s tools, that were not written by the pipeline’s author. */
export interface Bounds {
  readonly schemas: number;
  readonly references: number;
  /** Values of `const` and `enum`. */
  readonly values: number;
  /** Schemas in one `anyOf`, `oneOf`, `allOf` or `prefixItems`. */
  readonly alternatives: number;
  /** Schemas applied to one value, with references followed: what a reader that follows them repeatedly has to read. */
  readonly inPlace: number;
  /** Parts of all patterns together, with repetitions expanded. */
  readonly patterns: number;
}

/** OpenAI's own API accepts 5,000 properties and 1,000 values of `enum`; reading so many takes some tens of ms. */
export const FOREIGN: Bounds = {
  schemas: 5_000,
  references: 1_000,
  values: 5_000,
  alternatives: 500,
  inPlace: 2_000,
  patterns: 6_000,
};

/**
 * Limits checked before schemas are read: depth of their JSON, number of values, and amount of text. The 40 tools of a
 * large public MCP server use a fifth of them.
 */
export const LARGEST = { levels: 64, values: 30_000, text: 256 * 1_024 };

/** No limits of a size. */
export const ANY_SIZE = {
  levels: Number.POSITIVE_INFINITY,
  values: Number.POSITIVE_INFINITY,
  text: Number.POSITIVE_INFINITY,
};

/** Size of a value, counted only up to the limits: characters of its texts and names, values and levels. */
export function sizeOf(value: Json, most: { levels: number; values: number; text: number }) {
  let level: readonly Json[] = [value];
  const size = { levels: 0, values: 0, text: 0 };
  while (level.length > 0) {
    size.levels++;
    size.values += level.length;
    const below: Json[] = [];
    for (const each of level) {
      if (typeof each === 'string') size.text += each.length;
      else if (Array.isArray(each)) {
        for (const part of each as readonly Json[]) below.push(part);
      } else if (isJsonObject(each)) {
        for (const [key, part] of Object.entries(each)) {
          size.text += key.length;
          below.push(part);
        }
      }
    }
    if (size.levels > most.levels || size.values > most.values || size.text > most.text) return size;
    level = below;
  }
  return size;
}
