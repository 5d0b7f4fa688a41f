import { keepNewest } from '../../pipelines/keep-newest.js';
import { sha256Hex } from '../../pipelines/plan/hash.js';
import type { EmbedCaller, Embedder } from '../cache/index.js';

/** Vectors kept: of 384 numbers they take 15 MB. */
const MOST = 10_000;
/** Texts that are embedded at once, so that a search does not take every place of the pool. */
const AT_ONCE = 8;

/** Vectors of texts by embedder, the last used ones; two searches of the same text share its call. */
export class ToolVectors {
  /** By a hash of the text: queries are as long as callers make them. */
  readonly #kept = new Map<string, Promise<Float32Array>>();

  async of(
    embedder: Embedder,
    texts: readonly string[],
    signal: AbortSignal,
    caller: EmbedCaller,
  ): Promise<readonly Float32Array[]> {
    const fingerprint = await embedder.fingerprint(signal);
    const vectors: Float32Array[] = [];
    for (let from = 0; from < texts.length; from += AT_ONCE) {
      const some = texts.slice(from, from + AT_ONCE);
      vectors.push(
        ...(await Promise.all(some.map((text) => this.#vector(embedder, fingerprint, text, signal, caller)))),
      );
    }
    return vectors;
  }

  async #vector(
    embedder: Embedder,
    fingerprint: string,
    text: string,
    signal: AbortSignal,
    caller: EmbedCaller,
  ): Promise<Float32Array> {
    const key = sha256Hex(`${fingerprint} ${text}`);
    for (let known = this.#kept.get(key); known !== undefined; known = this.#kept.get(key)) {
      const vector = await known.catch(() => undefined);
      // A shared call that another search has aborted is made again, by the first search that comes.
      if (vector === undefined) {
        if (this.#kept.get(key) === known) this.#kept.delete(key);
        continue;
      }
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return vector;
    }
    const made = embedder.embed(text, signal, caller);
    this.#kept.set(key, made);
    made.catch(() => {
      if (this.#kept.get(key) === made) this.#kept.delete(key);
    });
    keepNewest(this.#kept, MOST);
    return made;
  }
}
