import { randomInt } from 'node:crypto';
import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { Passage } from '../../pipelines/stages/index.js';
import { QUANTISATION, script, VectorSets, vectorBytes } from '../../stores/redis/index.js';
import { indexFailure } from './failures.js';
import type { IndexKeys, PassageKeys } from './keys.js';

/** The properties that an index was created with. */
export interface IndexMeta {
  /** Name of the pool, for display: the fingerprint is compared. */
  readonly embedder: string;
  /** Identity of the model that computed the vectors, including its weights if known. */
  readonly fingerprint: string;
  /** Length of the vectors. */
  readonly dimensions: number;
}

/** A passage with its L2-normalized embedding. */
export interface Embedded {
  readonly passage: Passage;
  readonly vector: Float32Array;
}

/**
 * Size of a search's candidate list. On 1 000 random vectors of 384 dimensions, a worst case, 99 % of the ten nearest
 * are found (97 % at 100, no more at 500), in the same millisecond.
 */
const EXPLORATION = 200;

/**
 * What a write adds to the number of an index's writes: a random number from 1 to this. A store that has lost an index, or its last
 * writes, counts from a lower number again, and must not come to one that it has had with other passages. 2^31 writes fit in 64 bits.
 */
const MOST_STEP = 2 ** 32;

/** Quota of all indexes of a tenant together. 0: no limit. */
export interface PassageQuota {
  readonly passages: number;
  /** Bytes of texts, metadata, ids and vectors. */
  readonly bytes: number;
}

/**
 * The first writer sets the properties of an index; later ones receive them. Atomic. An index that an operator has
 * deleted is empty: its size is counted from 0 when it is created again.
 */
const claim = script<
  [meta: string, use: string],
  [embedder: string, fingerprint: string, dimensions: number, segment: string],
  readonly (string | null)[]
>(`
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'embedder', ARGV[1], 'fingerprint', ARGV[2], 'dimensions', ARGV[3])
  redis.call('HDEL', KEYS[2], ARGV[4])
end
return redis.call('HMGET', KEYS[1], 'embedder', 'fingerprint', 'dimensions')`);

/**
 * Writes passages, texts and vectors together, unless that would exceed the tenant's quota: in that case it writes
 * nothing and returns the size that would result. A write that changes nothing is not counted as one.
 * The last arguments are id, JSON and vector of each passage.
 */
const write = script<
  [vectors: string, passages: string, use: string, writes: string],
  [segment: string, mostPassages: number, mostBytes: number, step: number, ...written: (string | Buffer)[]],
  null | readonly ['passages' | 'bytes', number]
>(`
local own, most, mostBytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local count, bytes = 0, 0
for i = 5, #ARGV, 3 do
  local before = redis.call('HSTRLEN', KEYS[2], ARGV[i])
  if before == 0 then
    count = count + 1
    bytes = bytes + 2 * #ARGV[i] + #ARGV[i + 2] / 4
  end
  bytes = bytes + #ARGV[i + 1] - before
end
local all, allBytes, ownCount, ownBytes = count, bytes, count, bytes
local uses = redis.call('HGETALL', KEYS[3])
for i = 1, #uses, 2 do
  local n, b = string.match(uses[i + 1], '^(%-?%d+) (%-?%d+)$')
  all, allBytes = all + n, allBytes + b
  if uses[i] == own then ownCount, ownBytes = ownCount + n, ownBytes + b end
end
if most > 0 and count > 0 and all > most then return {'passages', all} end
if mostBytes > 0 and bytes > 0 and allBytes > mostBytes then return {'bytes', allBytes} end
local changed = false
for i = 5, #ARGV, 3 do
  if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 1] then changed = true end
  if redis.call('VADD', KEYS[1], 'FP32', ARGV[i + 2], ARGV[i], '${QUANTISATION}') == 1 then changed = true end
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[3], own, string.format('%d %d', ownCount, ownBytes))
if changed then redis.call('HINCRBY', KEYS[4], own, ARGV[4]) end
return false`);

/** Indexes in Redis: vector sets for vectors, a hash for texts. Throws `STORE_UNAVAILABLE` or `INDEX_UNSUPPORTED`. */
export class RedisPassages {
  readonly #redis: Redis;
  readonly #vectors: VectorSets;
  readonly #quota: PassageQuota;

  constructor(redis: Redis, quota: PassageQuota) {
    this.#redis = redis;
    this.#vectors = new VectorSets(redis);
    this.#quota = quota;
  }

  async meta(at: IndexKeys): Promise<IndexMeta | undefined> {
    return this.#query(async () =>
      parseMeta(await this.#redis.hmget(at.meta, 'embedder', 'fingerprint', 'dimensions')),
    );
  }

  /** Creates the index with `wanted` unless it exists; returns its properties in either case. */
  async claim(at: IndexKeys, wanted: IndexMeta): Promise<IndexMeta> {
    const { embedder, fingerprint, dimensions } = wanted;
    return this.#query(async () => {
      const reply = await claim(this.#redis, [at.meta, at.use], embedder, fingerprint, dimensions, at.segment);
      return parseMeta(reply) ?? wanted;
    });
  }

  /**
   * Adds or replaces passages, a text and its vector together: a search never finds one without the other. Throws
   * `QUOTA_EXCEEDED` without writing any of them.
   * @param entries passages with different ids
   */
  async write(index: IndexKeys, at: PassageKeys, entries: readonly Embedded[]): Promise<void> {
    const { passages, bytes } = this.#quota;
    const written = entries.flatMap(({ passage: { id, text, metadata }, vector }) => [
      id,
      JSON.stringify({ text, ...(metadata && { metadata }) }),
      vectorBytes(vector),
    ]);
    const reply = await this.#query(() =>
      write(
        this.#redis,
        [at.vectors, at.passages, index.use, index.writes],
        index.segment,
        passages,
        bytes,
        randomInt(MOST_STEP) + 1,
        ...written,
      ),
    );
    if (reply) throw exceeded(...reply, this.#quota);
  }

  /** Changes with every write that changes the index, and is another one after its store has lost it. */
  async version(index: IndexKeys): Promise<string> {
    const parts = await this.#query(() =>
      Promise.all([
        this.#redis.hget(index.meta, 'fingerprint'),
        this.#redis.hget(index.writes, index.segment),
        // Workers of earlier releases count no writes.
        this.#redis.hget(index.use, index.segment),
      ]),
    );
    return parts.map((part) => part ?? '-').join(' ');
  }

  /** Ids of the nearest passages with their cosine similarity, nearest first. */
  async search(at: PassageKeys, vector: Float32Array, count: number): Promise<{ id: string; score: number }[]> {
    const effort = Math.max(EXPLORATION, count);
    const found = await this.#query(() => this.#vectors.search(at.vectors, vector, count, effort));
    return found.map(({ id, similarity }) => ({ id, score: similarity }));
  }

  /** The passages with these ids; `undefined` for missing ones. */
  async read(at: PassageKeys, ids: readonly string[]): Promise<(Passage | undefined)[]> {
    if (ids.length === 0) return [];
    const texts = await this.#query(() => this.#redis.hmget(at.passages, ...ids));
    return texts.map((text, i) => (text === null ? undefined : { id: ids[i] as string, ...JSON.parse(text) }));
  }

  async #query<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure = indexFailure(error, 'this Redis');
      if (failure.code !== 'INDEX_UNSUPPORTED') throw failure;
      throw indexFailure(error, await this.#vectors.server());
    }
  }
}

function exceeded(what: 'passages' | 'bytes', wanted: number, quota: PassageQuota): MillraceError {
  const [most, setting] =
    what === 'passages' ? [quota.passages, 'MILLRACE_TENANT_PASSAGES'] : [quota.bytes, 'MILLRACE_TENANT_PASSAGE_BYTES'];
  const message = `would result in ${wanted} ${what} in the tenant’s vector indexes, more than the ${most} of ${setting}`;
  return new MillraceError('QUOTA_EXCEEDED', `upsert ${message}`, { fields: [{ field: 'passages', message }] });
}

function parseMeta([embedder, fingerprint, dimensions]: readonly (string | null)[]): IndexMeta | undefined {
  if (typeof embedder !== 'string' || typeof fingerprint !== 'string') return undefined;
  return { embedder, fingerprint, dimensions: Number(dimensions) };
}
