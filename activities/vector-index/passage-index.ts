import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { Passage, ScoredPassage } from '../../pipelines/stages/index.js';
import type { EmbedCaller, Embedder } from '../cache/index.js';
import { bounded } from './bounded.js';
import { type IndexName, keysOf } from './keys.js';
import { type IndexMeta, type PassageQuota, RedisPassages } from './redis-passages.js';

/**
 * Concurrent embedding calls: a full batch of the embedded Triton, and a quarter of a pool's capacity, so that queries
 * are not blocked.
 */
const EMBEDDINGS_AT_ONCE = 8;

/**
 * Passages per transaction: 7 ms of Redis' time at 384 dimensions, an acceptable delay for a concurrent cache lookup.
 */
const WRITES_AT_ONCE = 32;

export interface PassageIndexParts {
  /** Its commands must time out by themselves, within the time that a cancelled stage may take to end. */
  readonly redis: Redis;
  /** Throws `MODEL_NOT_CONFIGURED` if there is no such pool. */
  readonly embedderFor: (name: string) => Embedder;
  /** Default: no limit. */
  readonly quota?: PassageQuota;
}

const UNLIMITED: PassageQuota = { passages: 0, bytes: 0 };

export interface Query extends IndexName, EmbedCaller {
  readonly query: string;
  /** Number of passages, at most. */
  readonly k: number;
  /** Least cosine similarity. Absent: no limit. */
  readonly minScore?: number | undefined;
  /** Name of the embedder's pool. */
  readonly embedder: string;
}

export interface Upsert extends IndexName, EmbedCaller {
  readonly passages: readonly Passage[];
  readonly embedder: string;
}

/**
 * Vector indexes of passages. An index belongs to one tenant and one embedder: the first `upsert` creates it, and use
 * with other weights is rejected (`INDEX_MISMATCH`), since a search would find nothing useful.
 */
export class PassageIndex {
  readonly #store: RedisPassages;
  readonly #embedderFor: (name: string) => Embedder;

  constructor({ redis, embedderFor, quota = UNLIMITED }: PassageIndexParts) {
    this.#store = new RedisPassages(redis, quota);
    this.#embedderFor = embedderFor;
  }

  /**
   * The passages nearest to the query, nearest first, scored by cosine. Throws `INDEX_NOT_FOUND`, `INDEX_MISMATCH`,
   * `INDEX_UNSUPPORTED`, `STORE_UNAVAILABLE`, the embedder's error, or the signal's reason.
   */
  async search(request: Query, signal: AbortSignal): Promise<ScoredPassage[]> {
    const { tenant, index, query, k, minScore = -1, embedder: name } = request;
    const embedder = this.#embedderFor(name);
    const keys = keysOf({ tenant, index });
    const [meta, fingerprint] = await Promise.all([this.#store.meta(keys), embedder.fingerprint(signal)]);
    if (!meta) throw notFound(request);
    requireSame(meta, { embedder: name, fingerprint }, request);
    const vector = await embedder.embed(query, signal, request);
    requireSame(meta, { embedder: name, fingerprint, dimensions: vector.length }, request);
    signal.throwIfAborted();
    const at = keys.of(fingerprint);
    const near = (await this.#store.search(at, vector, k)).filter(({ score }) => score >= minScore);
    const passages = await this.#store.read(
      at,
      near.map(({ id }) => id),
    );
    signal.throwIfAborted();
    return near.flatMap(({ score }, i) => {
      const passage = passages[i];
      return passage ? [{ ...passage, score }] : [];
    });
  }

  /** Changes with every write that changes an index: what was found before may not be found again. Throws `STORE_UNAVAILABLE`. */
  async version(name: IndexName): Promise<string> {
    return this.#store.version(keysOf(name));
  }

  /**
   * Adds or replaces passages; of several with the same id the last one counts. Returns the number of distinct ids.
   * Throws as `search` does except for `INDEX_NOT_FOUND`, `QUOTA_EXCEEDED` if the tenant's quota would be exceeded, and
   * `STORE_FULL` if Redis is out of memory; passages written before the error are kept, and repeating the call
   * completes it.
   */
  async upsert(request: Upsert, signal: AbortSignal): Promise<number> {
    const { tenant, index, embedder: name } = request;
    const passages = [...new Map(request.passages.map((passage) => [passage.id, passage])).values()];
    const embedder = this.#embedderFor(name);
    const keys = keysOf({ tenant, index });
    const [known, fingerprint] = await Promise.all([this.#store.meta(keys), embedder.fingerprint(signal)]);
    // Checked before any embedding is computed.
    if (known) requireSame(known, { embedder: name, fingerprint }, request);
    for (let from = 0; from < passages.length; from += WRITES_AT_ONCE) {
      const batch = passages.slice(from, from + WRITES_AT_ONCE);
      const entries = await bounded(batch, EMBEDDINGS_AT_ONCE, signal, async (passage, own) => ({
        passage,
        vector: await embedder.embed(passage.text, own, request),
      }));
      signal.throwIfAborted();
      let meta: IndexMeta | undefined;
      for (const dimensions of new Set(entries.map(({ vector }) => vector.length))) {
        const wanted = { embedder: name, fingerprint, dimensions };
        meta = await this.#store.claim(keys, wanted);
        requireSame(meta, wanted, request);
      }
      if (meta) await this.#store.write(keys, meta, entries);
    }
    signal.throwIfAborted();
    return passages.length;
  }

  /**
   * Removes the passages with these ids; returns how many there were. Throws `INDEX_NOT_FOUND`, `INDEX_UNSUPPORTED` or
   * `STORE_UNAVAILABLE`.
   */
  async remove(name: IndexName, ids: readonly string[]): Promise<number> {
    const keys = keysOf(name);
    const meta = await this.#store.meta(keys);
    const removed = meta && (await this.#store.remove(keys, meta.fingerprint, [...new Set(ids)]));
    if (removed === undefined) throw notFound(name);
    return removed;
  }

  /**
   * Removes an index with all its passages, some at a time: searches meanwhile find what is left. Returns how many there were. What is
   * removed before an error stays removed, and repeating the call completes it. Throws as `remove` does, or the signal's reason.
   *
   * @param onRemoved gets the number of passages removed so far
   */
  async drop(name: IndexName, signal: AbortSignal, onRemoved: (removed: number) => void): Promise<number> {
    const keys = keysOf(name);
    const meta = await this.#store.meta(keys);
    if (!meta) throw notFound(name);
    for (let removed = 0; ; ) {
      signal.throwIfAborted();
      const some = await this.#store.removeSome(keys, meta.fingerprint);
      // Empty and removed, or removed by somebody else.
      if (!some) return removed;
      removed += some;
      onRemoved(removed);
    }
  }
}

const notFound = ({ tenant, index }: IndexName): MillraceError =>
  new MillraceError(
    'INDEX_NOT_FOUND',
    `tenant "${tenant}" has no vector index "${index}"; an upsert stage or "millrace index put" creates it`,
  );

/** Throws `INDEX_MISMATCH` unless the index was created with this embedder. */
function requireSame(
  meta: IndexMeta,
  used: Omit<IndexMeta, 'dimensions'> & { readonly dimensions?: number },
  { tenant, index }: IndexName,
): void {
  const { dimensions = meta.dimensions } = used;
  if (meta.fingerprint === used.fingerprint && meta.dimensions === dimensions) return;
  const words = (it: IndexMeta) => `"${it.embedder}" (${it.fingerprint}, ${it.dimensions} dimensions)`;
  const now =
    used.dimensions === undefined ? `"${used.embedder}" (${used.fingerprint})` : words({ ...used, dimensions });
  throw new MillraceError(
    'INDEX_MISMATCH',
    `the vector index "${index}" of tenant "${tenant}" was created with ${words(meta)}, not with ${now}: ` +
      'use that embedder, or store the passages in another index',
  );
}
