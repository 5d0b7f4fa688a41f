import { within } from './abortable.js';
import type { Embedder } from './embedder.js';

/**
 * How long a fingerprint is believed. It changes when an embedder's weights do, which is a deployment; within this time
 * of one, vectors of old and new weights may meet in one set. They are then as good as unrelated, so that costs hits,
 * not correctness.
 */
const BELIEVED_MS = 10_000;

interface Known {
  readonly embedder: Embedder;
  readonly fingerprint: string;
  readonly until: number;
}

/** Embedders by name with their fingerprints, which are asked for rarely. */
export class Fingerprints {
  readonly #embedderFor: (name: string) => Embedder;
  readonly #timeoutMs: number;
  readonly #known = new Map<string, Known>();

  constructor(embedderFor: (name: string) => Embedder, timeoutMs: number) {
    this.#embedderFor = embedderFor;
    this.#timeoutMs = timeoutMs;
  }

  async of(name: string, signal: AbortSignal): Promise<{ embedder: Embedder; fingerprint: string }> {
    const known = this.#known.get(name);
    if (known && performance.now() < known.until) return known;
    const embedder = this.#embedderFor(name);
    const fingerprint = await within(this.#timeoutMs, `the fingerprint of embedder ${name}`, signal, (own) =>
      embedder.fingerprint(own),
    );
    const fresh = { embedder, fingerprint, until: performance.now() + BELIEVED_MS };
    this.#known.set(name, fresh);
    return fresh;
  }
}
