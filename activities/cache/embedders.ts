import { messageOf } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import type { EmbedCaller, Embedder } from './embedder.js';

/**
 * How long a fingerprint is cached, in milliseconds. It changes when an embedder is deployed with other weights; within
 * this time vectors of old and new weights may mix in one set. They are then practically unrelated, which costs hits,
 * not correctness.
 */
const BELIEVED_MS = 10_000;

/** An embedder did not respond, or does not exist. */
export class EmbedderFailure extends Error {
  constructor(name: string, cause: unknown) {
    super(`embedder ${name}: ${messageOf(cause)}`, { cause });
  }
}

/** The embedding of a lookup's text, computed when first needed. */
export type Vector = (signal: AbortSignal) => Promise<Float32Array>;

/** Embedders by name. Every call ends within a timeout and throws an `EmbedderFailure`, or the signal's reason. */
export class Embedders {
  readonly #embedderFor: (name: string) => Embedder;
  readonly #timeoutMs: number;
  readonly #known = new Map<string, { readonly fingerprint: string; readonly until: number }>();

  constructor(embedderFor: (name: string) => Embedder, timeoutMs: number) {
    this.#embedderFor = embedderFor;
    this.#timeoutMs = timeoutMs;
  }

  async fingerprint(name: string, signal: AbortSignal): Promise<string> {
    const known = this.#known.get(name);
    if (known && performance.now() < known.until) return known.fingerprint;
    const fingerprint = await this.#call(name, signal, (embedder, own) => embedder.fingerprint(own));
    this.#known.set(name, { fingerprint, until: performance.now() + BELIEVED_MS });
    return fingerprint;
  }

  vectorOf(name: string, text: string, caller: EmbedCaller): Vector {
    let vector: Promise<Float32Array> | undefined;
    return (signal) => {
      vector ??= this.#call(name, signal, (embedder, own) => embedder.embed(text, own, caller));
      return vector;
    };
  }

  async #call<T>(
    name: string,
    signal: AbortSignal,
    call: (embedder: Embedder, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await limited(this.#timeoutMs, signal, async (own) => call(this.#embedderFor(name), own));
    } catch (error) {
      throw signal.aborted ? signal.reason : new EmbedderFailure(name, error);
    }
  }
}
