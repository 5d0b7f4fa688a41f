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
 * nothing and returns the size that would result. A write that changes nothing is not counted as one. An index that has been deleted since
 * it was claimed is created again.
 * The last arguments are id, JSON and vector of each passage.
 */
const write = script<
  [vectors: string, passages: string, use: string, writes: string, meta: string],
  [
    segment: string,
    mostPassages: number,
    mostBytes: number,
    step: number,
    embedder: string,
    fingerprint: string,
    dimensions: number,
    ...written: (string | Buffer)[],
  ],
  null | readonly ['passages' | 'bytes', number]
>(`
local own, most, mostBytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local gone = redis.call('EXISTS', KEYS[5]) == 0
local count, bytes = 0, 0
for i = 8, #ARGV, 3 do
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
  if uses[i] ~= own or not gone then
    local n, b = string.match(uses[i + 1], '^(%-?%d+) (%-?%d+)$')
    all, allBytes = all + n, allBytes + b
    if uses[i] == own then ownCount, ownBytes = ownCount + n, ownBytes + b end
  end
end
if most > 0 and count > 0 and all > most then return {'passages', all} end
if mostBytes > 0 and bytes > 0 and allBytes > mostBytes then return {'bytes', allBytes} end
if gone then redis.call('HSET', KEYS[5], 'embedder', ARGV[5], 'fingerprint', ARGV[6], 'dimensions', ARGV[7]) end
local changed = false
for i = 8, #ARGV, 3 do
  if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 1] then changed = true end
  if redis.call('VADD', KEYS[1], 'FP32', ARGV[i + 2], ARGV[i], '${QUANTISATION}') == 1 then changed = true end
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[3], own, string.format('%d %d', ownCount, ownBytes))
if changed then redis.call('HINCRBY', KEYS[4], own, ARGV[4]) end
return false`);

/**
 * Removes passages: those named, or up to `most` of any, and the index itself if it has none left then. Returns how many there were; null if
 * there is no such index. The removals come first: a store that is full permits other changes then.
 */
const remove = script<
  [vectors: string, passages: string, meta: string, use: string, writes: string],
  [segment: string, fingerprint: string, step: number, most: number, ...ids: string[]],
  number | null
>(`
if redis.call('HGET', KEYS[3], 'fingerprint') ~= ARGV[2] then return false end
local most, ids = tonumber(ARGV[4]), {}
for i = 5, #ARGV do ids[#ids + 1] = ARGV[i] end
if most > 0 then ids = redis.call('HRANDFIELD', KEYS[2], most) end
local dimensions = tonumber(redis.call('HGET', KEYS[3], 'dimensions') or 0)
local count, bytes = 0, 0
for _, id in ipairs(ids) do
  local length = redis.call('HSTRLEN', KEYS[2], id)
  if length > 0 then
    redis.call('VREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    count, bytes = count + 1, bytes + 2 * #id + dimensions + length
  end
end
if count > 0 then
  local n, b = string.match(redis.call('HGET', KEYS[4], ARGV[1]) or '', '^(%-?%d+) (%-?%d+)$')
  if n then redis.call('HSET', KEYS[4], ARGV[1], string.format('%d %d', n - count, b - bytes)) end
  redis.call('HINCRBY', KEYS[5], ARGV[1], ARGV[3])
elseif most > 0 then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  redis.call('HDEL', KEYS[4], ARGV[1])
end
return count`);

/** Passages removed by one script: some milliseconds of Redis' time, as for those written by one. */
const REMOVED_AT_ONCE = 32;

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
   * @param meta the properties of the index, as claimed
   * @param entries passages with different ids
   */
  async write(index: IndexKeys, meta: IndexMeta, entries: readonly Embedded[]): Promise<void> {
    const { passages, bytes } = this.#quota;
    const { embedder, fingerprint, dimensions } = meta;
    const at = index.of(fingerprint);
    const written = entries.flatMap(({ passage: { id, text, metadata }, vector }) => [
      id,
      JSON.stringify({ text, ...(metadata && { metadata }) }),
      vectorBytes(vector),
    ]);
    const reply = await this.#query(() =>
      write(
        this.#redis,
        [at.vectors, at.passages, index.use, index.writes, index.meta],
        index.segment,
        passages,
        bytes,
        step(),
        embedder,
        fingerprint,
        dimensions,
        ...written,
      ),
    );
    if (reply) throw exceeded(...reply, this.#quota);
  }

  /** Removes the passages with these ids; returns how many there were. Undefined: the index is gone. */
  async remove(index: IndexKeys, fingerprint: string, ids: readonly string[]): Promise<number | undefined> {
    let removed = 0;
    for (let from = 0; from < ids.length; from += REMOVED_AT_ONCE) {
      const some = await this.#remove(index, fingerprint, 0, ids.slice(from, from + REMOVED_AT_ONCE));
      if (some === undefined) return undefined;
      removed += some;
    }
    return removed;
  }

  /** Removes some passages, and the index once it has none; returns how many there were: 0 at the end. Undefined: the index is gone. */
  async removeSome(index: IndexKeys, fingerprint: string): Promise<number | undefined> {
    return this.#remove(index, fingerprint, REMOVED_AT_ONCE, []);
  }

  async #remove(index: IndexKeys, fingerprint: string, most: number, ids: readonly string[]) {
    const at = index.of(fingerprint);
    const removed = await this.#query(() =>
      remove(
        this.#redis,
        [at.vectors, at.passages, index.meta, index.use, index.writes],
        index.segment,
        fingerprint,
        step(),
        most,
        ...ids,
      ),
    );
    return removed ?? undefined;
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

const step = (): number => randomInt(MOST_STEP) + 1;

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
