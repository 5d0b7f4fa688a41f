import type { JsonObject } from '../../pipelines/json.js';
import type { VectorSets } from '../../stores/redis/index.js';
import type { CacheKeys, CacheRequest } from './cache-key.js';
import type { Vector } from './embedders.js';
import type { Entries, Entry } from './entries.js';
import { MAX_CHARS } from './lexical/text.js';
import { differenceOf } from './lexical-guard.js';
import { scoreOf } from './verifier/verifier.js';

/** Number of neighbours examined. The nearest may be a near miss (`of Spain`) with the true match behind it. */
const NEIGHBOURS = 10;

/** Elements sampled at each insert to find expired ones: five per added one keep the expired below a fifth of a set. */
const SAMPLE = 5;

/**
 * Limit of a set's elements, beside the tenant's budget, which removes answers of little value long before. At 384
 * dimensions 200 000 take about 220 MB. Beyond it the text of a sample is removed that has not been found for the
 * longest time (as Redis' own LRU does). Its answer is still found by exact text until it expires.
 */
const MAX_ELEMENTS = 200_000;
const LRU_SAMPLE = 16;

/** Its own eight bits, and its share of the index. */
const BYTES_A_DIMENSION = 2;

/** A cached answer to a similar text. */
export interface Candidate {
  readonly id: string;
  readonly entry: Entry;
  /** Cosine of the texts' embeddings. */
  readonly similarity: number;
  /**
   * `guard`: the texts say the same in another form. `verifier`: they differ in ways that often mean nothing. `entailment`: so
   * they do, and a model of entailment has said how surely they mean the same.
   */
  readonly tier: 'guard' | 'verifier' | 'entailment';
  /** The verifier's, from 0 to 1; 1 for the guard. */
  readonly score: number;
  /** What the model of entailment says, from 0 to 1. */
  readonly entailment?: number;
}

/** A cached answer to a text whose embedding is near. */
type Near = Pick<Candidate, 'id' | 'entry' | 'similarity'>;

/** Hears of a text that could not be compared. */
type OnFailure = (request: CacheRequest, error: unknown) => void;

/** Finds answers to texts with the same meaning, and removes vectors whose answers have expired. */
export class SimilarTexts {
  readonly #vectors: VectorSets;
  readonly #entries: Entries;
  readonly #most: number;
  readonly #onFailure: OnFailure;

  constructor(vectors: VectorSets, entries: Entries, most = MAX_ELEMENTS, onFailure: OnFailure = () => undefined) {
    this.#vectors = vectors;
    this.#entries = entries;
    this.#most = most;
    this.#onFailure = onFailure;
  }

  /** The matching in use, for the start-up log. */
  async describe(): Promise<string> {
    const available = await this.#vectors.available().catch(() => undefined);
    if (available === undefined) return 'semantic cache off until Redis is reachable';
    const server = await this.#vectors.server();
    if (available) return `${server} vector sets`;
    return `semantic matching off: this Redis has no vector sets (${server}); exact text matching only`;
  }

  /** The nearest `valid` answer that the guard permits; without one that of the highest score. */
  async find(
    at: CacheKeys,
    request: CacheRequest,
    vector: Vector,
    signal: AbortSignal,
    valid: (output: JsonObject) => boolean | Promise<boolean>,
  ): Promise<Candidate | undefined> {
    let best: Candidate | undefined;
    for (const near of await this.#near(at, request, vector, signal)) {
      if (!(await valid(near.entry.output))) continue;
      const found = this.#compared(near, request);
      if (found?.tier === 'guard') return found;
      if (found && found.score > (best?.score ?? 0)) best = found;
    }
    return best;
  }

  /** Undefined if the texts differ in what nothing may overrule here. A text that cannot be compared is no reason to miss the others. */
  #compared(near: Near, request: CacheRequest): Candidate | undefined {
    try {
      const { text } = near.entry;
      const found = differenceOf(text, request.key);
      if (!found) return { ...near, tier: 'guard', score: 1 };
      if (request.maxErrorRate === undefined || !found.soft) return undefined;
      return { ...near, tier: 'verifier', score: scoreOf(text, request.key, found, near.similarity) };
    } catch (error) {
      this.#onFailure(request, error);
      return undefined;
    }
  }

  /** Bytes that a text's vector takes in its set; 0 if there are no vector sets or the text is too long. */
  async bytesOf({ key }: CacheRequest, vector: Vector, signal: AbortSignal): Promise<number> {
    return (await this.#usable(key)) ? BYTES_A_DIMENSION * (await vector(signal)).length : 0;
  }

  /** Adds a text's vector, if there are vector sets and the text is not too long. */
  async add(at: CacheKeys, request: CacheRequest, vector: Vector, signal: AbortSignal): Promise<void> {
    if (!(await this.#usable(request.key))) return;
    const surplus = 1 + (await this.#vectors.size(at.vectors)) - this.#most;
    if (surplus > 0) {
      const ids = await this.#vectors.sample(at.vectors, surplus + LRU_SAMPLE);
      await this.#vectors.remove(at.vectors, (await this.#entries.leastUsed(at, ids)).slice(0, surplus));
    }
    await this.#vectors.add(at.vectors, at.id, await vector(signal));
    const sample = await this.#vectors.sample(at.vectors, SAMPLE);
    const entries = await this.#entries.read(at, sample);
    await this.#vectors.remove(
      at.vectors,
      sample.filter((_, i) => !entries[i]),
    );
  }

  async #near(at: CacheKeys, request: CacheRequest, vector: Vector, signal: AbortSignal): Promise<Near[]> {
    if (!(await this.#usable(request.key))) return [];
    const neighbours = await this.#vectors.search(at.vectors, await vector(signal), NEIGHBOURS);
    const near = neighbours.filter(({ similarity }) => similarity >= request.minSimilarity);
    const entries = await this.#entries.read(
      at,
      near.map(({ id }) => id),
    );
    const gone = near.filter((_, i) => !entries[i]).map(({ id }) => id);
    await this.#vectors.remove(at.vectors, gone);
    signal.throwIfAborted();
    return near.flatMap(({ id, similarity }, i) => {
      const entry = entries[i];
      return entry && entry.of === undefined ? [{ id, entry, similarity }] : [];
    });
  }

  async #usable(text: string): Promise<boolean> {
    return text.length <= MAX_CHARS && (await this.#vectors.available());
  }
}
