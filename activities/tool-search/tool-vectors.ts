import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { sha256Hex } from '../../pipelines/plan/hash.js';
import type { EmbedCaller, Embedder } from '../cache/index.js';
import { cutsOf } from './cuts.js';

/** Vectors kept: of 384 numbers they take 15 MB. As many texts are known to be too long. */
const MOST = 10_000;
/** Texts that are embedded at once, so that a search does not take every place of the pool. */
const AT_ONCE = 8;
/** The embedder cannot take the text. Some servers say so with `BACKEND_REJECTED` of one that is too long. */
const REJECTED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CONTEXT_TOO_LONG', 'BACKEND_REJECTED']);

/** Vectors of texts by embedder, the last used ones; two searches of the same text share its call. */
export class ToolVectors {
  /** By a hash of the text: queries are as long as callers make them. */
  readonly #kept = new Map<string, Promise<Float32Array>>();
  /** Of texts that the embedder does not take whole, the first of their cuts that is worth a call, by the same hash. */
  readonly #cut = new Map<string, number>();

  /**
   * In the order of the texts. Of one that the embedder rejects, its ends; undefined where it rejects those too.
   * Throws the first text's error if the embedder rejects all of them: then it is the embedder that is broken, or not one.
   */
  async of(
    embedder: Embedder,
    texts: readonly string[],
    signal: AbortSignal,
    caller: EmbedCaller,
  ): Promise<readonly (Float32Array | undefined)[]> {
    const fingerprint = await embedder.fingerprint(signal);
    const made: (Float32Array | MillraceError)[] = [];
    for (let from = 0; from < texts.length; from += AT_ONCE) {
      const some = texts.slice(from, from + AT_ONCE);
      const vectors = some.map((text) => this.#fitting(embedder, fingerprint, text, signal, caller).catch(rejection));
      made.push(...(await Promise.all(vectors)));
    }
    const [first] = made;
    if (first instanceof MillraceError && made.every((each) => each instanceof MillraceError)) throw first;
    return made.map((each) => (each instanceof MillraceError ? undefined : each));
  }

  /** The vector of the text, or of the first of its cuts that the embedder takes. Throws as it does for the first one tried. */
  async #fitting(
    embedder: Embedder,
    fingerprint: string,
    text: string,
    signal: AbortSignal,
    caller: EmbedCaller,
  ): Promise<Float32Array> {
    const cuts = cutsOf(text);
    const key = keyOf(fingerprint, text);
    // The last one is asked for at each search: the embedder may take it after it was repaired.
    const remember = (i: number) => {
      this.#cut.delete(key);
      this.#cut.set(key, Math.min(i, cuts.length - 1));
      keepNewest(this.#cut, MOST);
    };
    let refusal: unknown;
    for (const [i, cut] of [...cuts.entries()].slice(this.#cut.get(key) ?? 0)) {
      try {
        const vector = await this.#vector(embedder, fingerprint, cut, signal, caller);
        if (i > 0) remember(i);
        return vector;
      } catch (error) {
        if (!isRejection(error)) throw error;
        refusal ??= error;
        if (error.code === 'CONTEXT_TOO_LONG') remember(i + 1);
      }
    }
    throw refusal;
  }

  async #vector(
    embedder: Embedder,
    fingerprint: string,
    text: string,
    signal: AbortSignal,
    caller: EmbedCaller,
  ): Promise<Float32Array> {
    const key = keyOf(fingerprint, text);
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

const keyOf = (fingerprint: string, text: string): string => sha256Hex(`${fingerprint} ${text}`);

const isRejection = (error: unknown): error is MillraceError =>
  error instanceof MillraceError && REJECTED.has(error.code);

function rejection(error: unknown): MillraceError {
  if (isRejection(error)) return error;
  throw error;
}
