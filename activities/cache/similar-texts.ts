import type { JsonObject } from '../../pipelines/json.js';
import type { CachePlaces, CacheRequest } from './cache-key.js';
import type { Vector } from './embedders.js';
import type { Entries, Entry } from './entries.js';
import { differs, MAX_CHARS } from './lexical-guard.js';
import type { VectorIndex } from './vector-index.js';

/** Neighbours looked at. The nearest may be a near miss (`of Spain`) with the true match behind it. */
const NEIGHBOURS = 10;

/** Expired elements found by chance at each insert: five for one added keep the expired below a fifth of a set. */
const SAMPLE = 5;

interface Similar {
  readonly id: string;
  readonly entry: Entry;
}

/** Finds answers to texts that mean the same, and forgets vectors whose answer has expired. */
export class SimilarTexts {
  readonly #index: VectorIndex;
  readonly #entries: Entries;

  constructor(index: VectorIndex, entries: Entries) {
    this.#index = index;
    this.#entries = entries;
  }

  async describe(): Promise<string> {
    await this.#index.available().catch(() => false);
    return this.#index.describe();
  }

  /** The nearest answer that is near enough, `valid`, and that no guard refuses. */
  async find(
    at: CachePlaces,
    request: CacheRequest,
    vector: Vector,
    signal: AbortSignal,
    valid: (output: JsonObject) => boolean,
  ): Promise<Similar | undefined> {
    if (!(await this.#usable(request.key))) return undefined;
    const neighbours = await this.#index.search(at.vectors, await vector(signal), NEIGHBOURS);
    const near = neighbours.filter(({ similarity }) => similarity >= request.minSimilarity).map(({ id }) => id);
    const entries = await this.#entries.read(at, near);
    await this.#index.remove(
      at.vectors,
      near.filter((_, i) => !entries[i]),
    );
    signal.throwIfAborted();
    for (const [i, entry] of entries.entries()) {
      const id = near[i];
      if (!entry || entry.copy || id === undefined || !valid(entry.output)) continue;
      if (differs(entry.text, request.key) === undefined) return { id, entry };
    }
    return undefined;
  }

  async add(at: CachePlaces, request: CacheRequest, vector: Vector, signal: AbortSignal): Promise<void> {
    if (!(await this.#usable(request.key))) return;
    await this.#index.add(at.vectors, at.id, await vector(signal), request.ttlMs);
    const sample = await this.#index.sample(at.vectors, SAMPLE);
    const entries = await this.#entries.read(at, sample);
    await this.#index.remove(
      at.vectors,
      sample.filter((_, i) => !entries[i]),
    );
  }

  async #usable(text: string): Promise<boolean> {
    return text.length <= MAX_CHARS && (await this.#index.available());
  }
}
