import { isJsonObject, type Json } from '../json.js';

/** What the schemas of one request, or of one server’s tools, may have together that others than the pipeline’s author have written. */
export interface Bounds {
  readonly schemas: number;
  readonly references: number;
  /** Values of `const` and `enum`. */
  readonly values: number;
  /** Schemas in one `anyOf`, `oneOf`, `allOf` or `prefixItems`. */
  readonly alternatives: number;
  /** Schemas of one value, references followed: what a reader that follows them again and again has to read. */
  readonly inPlace: number;
  /** Parts of all patterns together, with their repetitions written out. */
  readonly patterns: number;
}

/** OpenAI's own API takes 5,000 properties and 1,000 values of `enum`; so much takes some tens of milliseconds to read. */
export const FOREIGN: Bounds = {
  schemas: 5_000,
  references: 1_000,
  values: 5_000,
  alternatives: 500,
  inPlace: 2_000,
  patterns: 6_000,
};

/**
 * Before anything of the schemas is read: how deep their JSON may be, how many values they may have, and how much text. The 40
 * tools of a large public MCP server have a fifth of it.
 */
export const LARGEST = { levels: 64, values: 30_000, text: 256 * 1_024 };

/** How large a value is, counted only as far as the limits: characters of its texts and names, values and levels. */
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
