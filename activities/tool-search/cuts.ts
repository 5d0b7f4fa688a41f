import { wellFormed } from '../../pipelines/well-formed.js';

/**
 * Lengths to which a text is cut that the embedder does not take, one after the other, in UTF-16 units: a text in English within 256 tokens, the
 * context of many small models, and one of any language.
 */
const CUT_TO = [1_000, 250];

/**
 * What is embedded of a text, the first of it that the embedder takes: all of it, or its beginning and end, half of a length each. What a tool or a
 * prompt is about stands there. With the text itself first.
 */
export const cutsOf = (text: string): readonly string[] => [
  text,
  ...CUT_TO.filter((length) => length < text.length).map((length) => ends(text, length)),
];

function ends(text: string, length: number): string {
  const half = length / 2;
  return wellFormed(`${text.slice(0, half)}\n…\n${text.slice(-half)}`);
}
