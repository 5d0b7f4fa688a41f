import type { Embedder } from '../activities/cache/index.js';

/** Numbers of a vector: enough that few words of a test fall on the same one. */
const LENGTH = 512;

/** In place of an `embed` pool: texts are near each other that have words in common. */
export const wordEmbedder: Embedder = {
  fingerprint: async () => 'words',
  async embed(text) {
    const vector = new Float32Array(LENGTH);
    for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
      const at = [...word].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % LENGTH, 7);
      vector[at] = 1;
    }
    const length = Math.hypot(...vector) || 1;
    return vector.map((value) => value / length);
  },
};
