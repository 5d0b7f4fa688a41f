import type { JsonObject } from '../../pipelines/json.js';
import type { VectorSets } from '../../stores/redis/index.js';
import type { CacheKeys, CacheRequest } from './cache-key.js';
import type { Vector } from './embedders.js';
import type { Entries, Entry } from './entries.js';
import { MAX_CHARS } from './lexical/text.js';
import { differs } from './lexical-guard.js';

/** Number of neighbours examined. The nearest may be a near miss (`of Spain`) with the true match behind it. */
const NEIGHBOURS = 10;

/** Elements sampled at each insert to find expired ones: five per added one keep the expired below a fifth of a set. */
const SAMPLE = 5;

/**
 * Limit of a set's elements. At 384 dimensions 10 000 take about 11 MB and a search stays below 1 ms; beyond it a
 * random element is removed. Its answer is still found by exact text until it expires.
 */
const MAX_ELEMENTS = 10_000;

interface Similar {
  readonly id: string;
  readonly entry: Entry;
}

/** Finds answers to texts with the same meaning, and removes vectors whose answers have expired. */
export class SimilarTexts {
  readonly #vectors: VectorSets;
  readonly #entries: Entries;

  constructor(vectors: VectorSets, entries: Entries) {
    this.#vectors = vectors;
    this.#entries = entries;
  }

  /** The matching in use, for the start-up log. */
  async describe(): Promise<string> {
    const available = await this.#vectors.available().catch(() => undefined);
    if (available === undefined) return 'semantic cache off until Redis is reachable';
    const server = await this.#vectors.server();
    if (available) return `${server} vector sets`;
    return `semantic matching off: this Redis has no vector sets (${server}); exact text matching only`;
  }

  /** The nearest answer that is similar enough, `valid`, and not ruled out by the guard. */
  async find(
    at: CacheKeys,
    request: CacheRequest,
    vector: Vector,
    signal: AbortSignal,
    valid: (output: JsonObject) => boolean,
  ): Promise<Similar | undefined> {
    if (!(await this.#usable(request.key))) return undefined;
    const neighbours = await this.#vectors.search(at.vectors, await vector(signal), NEIGHBOURS);
    const near = neighbours.filter(({ similarity }) => similarity >= request.minSimilarity).map(({ id }) => id);
    const entries = await this.#entries.read(at, near);
    await this.#vectors.remove(
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

  async add(at: CacheKeys, request: CacheRequest, vector: Vector, signal: AbortSignal): Promise<void> {
    if (!(await this.#usable(request.key))) return;
    const size = await this.#vectors.size(at.vectors);
    const surplus = 1 + size - MAX_ELEMENTS;
    if (surplus > 0) await this.#vectors.remove(at.vectors, await this.#vectors.sample(at.vectors, surplus));
    await this.#vectors.add(at.vectors, at.id, await vector(signal), request.ttlMs);
    const sample = await this.#vectors.sample(at.vectors, SAMPLE);
    const entries = await this.#entries.read(at, sample);
    await this.#vectors.remove(
      at.vectors,
      sample.filter((_, i) => !entries[i]),
    );
  }

  async #usable(text: string): Promise<boolean> {
    return text.length <= MAX_CHARS && (await this.#vectors.available());
  }
}
