import type { Json } from '../json.js';

/** A tool's result as its model reads it: a text as it is, anything else as JSON. */
export const resultText = (result: Json): string => (typeof result === 'string' ? result : JSON.stringify(result));
