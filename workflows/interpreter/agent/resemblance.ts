/**
 * How much sentences resemble a text by the words that they share, each weighed by how few of the sentences have it: the inverse document
 * frequency of Spärck Jones (1972). No list of words, so that it holds in any language, and nothing but the arguments is read: the result is
 * the same on replay.
 */

/** Letters by which words are compared: `decided` and `decide`, `takes` and `take` mean the same. */
const STEM = 5;
/** Scripts that put no spaces between words are compared by pairs of characters. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const WORDS = /[\p{L}\p{N}]+/gu;

/** One number for each sentence; 0 if it shares no word with the text. */
export function resemblance(text: string, sentences: readonly string[]): number[] {
  // By the terms of the text, in their order: sentences with the same words get the same number.
  const having = new Map([...termsOf(text)].map((term) => [term, [] as number[]]));
  for (const [i, sentence] of sentences.entries()) for (const term of termsOf(sentence)) having.get(term)?.push(i);
  const sums = sentences.map(() => 0);
  for (const those of having.values()) {
    const weight = Math.log(1 + sentences.length / those.length);
    for (const i of those) sums[i] = (sums[i] as number) + weight;
  }
  return sums;
}

function termsOf(text: string): Set<string> {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  return new Set(
    (plain.match(WORDS) ?? []).flatMap((word) =>
      UNSPACED.test(word) ? pairsOf(word) : [[...word].slice(0, STEM).join('')],
    ),
  );
}

function pairsOf(word: string): string[] {
  const letters = [...word];
  return letters.length < 2 ? letters : letters.slice(1).map((letter, i) => `${letters[i]}${letter}`);
}
