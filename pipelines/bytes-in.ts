import type { Json } from './json.js';

/** Bytes that a value takes in memory, at most: two for a character, and 64 for each value; 0 if there is none. */
export function bytesIn(value: Json | undefined): number {
  let bytes = 0;
  const left: Json[] = value === undefined ? [] : [value];
  while (left.length > 0) {
    const each = left.pop();
    bytes += 64;
    if (typeof each === 'string') bytes += 2 * each.length;
    else if (Array.isArray(each)) for (const item of each as readonly Json[]) left.push(item);
    else if (typeof each === 'object' && each !== null)
      for (const [key, item] of Object.entries(each)) {
        bytes += 2 * key.length;
        left.push(item);
      }
  }
  return bytes;
}
