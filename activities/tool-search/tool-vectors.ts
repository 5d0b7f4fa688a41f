import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { sha256Hex } from '../../pipelines/plan/hash.js';
import type { EmbedCaller, Embedder } from '../cache/index.js';

/** Vectors kept: of 384 numbers they take 15 MB. */
const MOST = 10_000;
/** Texts that are embedded at once, so that a search does not take every place of the pool. */
const AT_ONCE = 8;
/** The embedder has read the text and cannot take it. */
const REJECTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONTEXT_TOO_LONG', 'BACKEND_REJECTED']);

/** Vectors of texts by embedder, the last used ones; two searches of the same text share its call. */
export class ToolVectors {
  /** By a hash of the text: queries are as long as callers make them. */
  readonly #kept = new Map<string, Promise<Float32Array>>();

  /** In the order of the texts. Undefined for one that the embedder rejects, such as one that its context does not hold. */
  async of(
    embedder: Embedder,
    texts: readonly string[],
    signal: AbortSignal,
    caller: EmbedCaller,
  ): Promise<readonly (Float32Array | undefined)[]> {
    const fingerprint = await embedder.fingerprint(signal);
    const vectors: (Float32Array | undefined)[] = [];
    for (let from = 0; from < texts.length; from += AT_ONCE) {
      const some = texts.slice(from, from + AT_ONCE);
      const made = some.map((text) => this.#vector(embedder, fingerprint, text, signal, caller).catch(ofRejected));
      vectors.push(...(await Promise.all(made)));
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

function ofRejected(error: unknown): undefined {
  if (error instanceof MillraceError && REJECTED.has(error.code)) return undefined;
  throw error;
}
