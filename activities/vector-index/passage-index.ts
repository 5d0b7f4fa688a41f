import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { Passage, ScoredPassage } from '../../pipelines/stages/index.js';
import type { EmbedCaller, Embedder } from '../cache/index.js';
import { bounded } from './bounded.js';
import { type IndexName, keysOf } from './keys.js';
import { type IndexMeta, type PassageQuota, RedisPassages } from './redis-passages.js';

/** Embeddings asked for at once: a full batch of the embedded Triton, a quarter of what a pool lets through, so that queries pass. */
const EMBEDDINGS_AT_ONCE = 8;

/** Passages written in one transaction: 7 ms of Redis' time at 384 dimensions, which a cache lookup beside it can wait. */
const WRITES_AT_ONCE = 32;

export interface PassageIndexParts {
  /** Its commands must end by themselves, within the time that a stage can wait after its cancellation. */
  readonly redis: Redis;
  /** Throws `MODEL_NOT_CONFIGURED` when there is no such pool. */
  readonly embedderFor: (name: string) => Embedder;
  /** Default: no limit. */
  readonly quota?: PassageQuota;
}

const UNLIMITED: PassageQuota = { passages: 0, bytes: 0 };

export interface Query extends IndexName, EmbedCaller {
  readonly query: string;
  /** Most passages. */
  readonly k: number;
  /** Least cosine similarity; absent: any. */
  readonly minScore?: number | undefined;
  /** Name of the pool that embeds. */
  readonly embedder: string;
}

export interface Upsert extends IndexName, EmbedCaller {
  readonly passages: readonly Passage[];
  readonly embedder: string;
}

/**
 * Passages by meaning. An index is of one tenant and one embedder: the first `upsert` makes it, and one that is used with
 * other weights is refused (`INDEX_MISMATCH`) rather than searched in vain.
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
   * `INDEX_UNSUPPORTED`, `STORE_UNAVAILABLE`, what the embedder throws, or the signal's reason.
   */
  async search(request: Query, signal: AbortSignal): Promise<ScoredPassage[]> {
    const { tenant, index, query, k, minScore = -1, embedder: name } = request;
    const embedder = this.#embedderFor(name);
    const keys = keysOf({ tenant, index });
    const [meta, fingerprint] = await Promise.all([this.#store.meta(keys), embedder.fingerprint(signal)]);
    if (!meta) {
      throw new MillraceError(
        'INDEX_NOT_FOUND',
        `tenant "${tenant}" has no vector index "${index}"; an upsert stage or "millrace index put" makes one`,
      );
    }
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

  /**
   * Adds or replaces passages; of two with one id the later counts. Returns how many there were, each id once. Throws as
   * `search` does, but for `INDEX_NOT_FOUND`, and `QUOTA_EXCEEDED` where the tenant would keep too much or `STORE_FULL` where
   * Redis has no memory left; what was written before stays, and the same call again completes it.
   */
  async upsert(request: Upsert, signal: AbortSignal): Promise<number> {
    const { tenant, index, embedder: name } = request;
    const passages = [...new Map(request.passages.map((passage) => [passage.id, passage])).values()];
    const embedder = this.#embedderFor(name);
    const keys = keysOf({ tenant, index });
    const [known, fingerprint] = await Promise.all([this.#store.meta(keys), embedder.fingerprint(signal)]);
    // Before anything is paid for.
    if (known) requireSame(known, { embedder: name, fingerprint }, request);
    for (let from = 0; from < passages.length; from += WRITES_AT_ONCE) {
      const batch = passages.slice(from, from + WRITES_AT_ONCE);
      const entries = await bounded(batch, EMBEDDINGS_AT_ONCE, signal, async (passage, own) => ({
        passage,
        vector: await embedder.embed(passage.text, own, request),
      }));
      signal.throwIfAborted();
      for (const dimensions of new Set(entries.map(({ vector }) => vector.length))) {
        const wanted = { embedder: name, fingerprint, dimensions };
        requireSame(await this.#store.claim(keys, wanted), wanted, request);
      }
      await this.#store.write(keys, keys.of(fingerprint), entries);
    }
    signal.throwIfAborted();
    return passages.length;
  }
}

/** Throws `INDEX_MISMATCH` unless the index was made with this embedder. */
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
    `the vector index "${index}" of tenant "${tenant}" was made with ${words(meta)}, not with ${now}: ` +
      'use that embedder, or put the passages into an index of another name',
  );
}
