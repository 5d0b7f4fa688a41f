import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Embedder } from '../../activities/cache/index.js';
import type { WorkerContext } from '../../activities/stage/worker-kind.js';
import { indexKinds, PassageIndex } from '../../activities/vector-index/index.js';
import { keysOf } from '../../activities/vector-index/keys.js';
import { RedisPassages } from '../../activities/vector-index/redis-passages.js';
import type { MillraceError } from '../../pipelines/errors.js';
import type { Passage } from '../../pipelines/stages/index.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { never, recordingLogger } from '../support/caches.js';
import { openEmbedder } from '../support/embedder.js';
import { ownRedis } from '../support/own-redis.js';
import { address } from '../support/runs.js';
import { soonest } from '../support/soonest.js';
import { byCosine, randomVectors } from '../support/vectors.js';

/** Of the connection to a server that fails. */
const TIMEOUT_MS = 1_000;
/** Of the others: a machine that stands still must not make an index unavailable. */
const PATIENT_MS = 10_000;
const DOCS: readonly Passage[] = [
  { id: 'paris', text: 'Paris is the capital of France.', metadata: { page: 3, checked: true, by: 'ada' } },
  { id: 'bread', text: 'Bread is made from flour, water, salt and yeast.' },
  { id: 'moon', text: 'The Moon goes around the Earth once in 27 days.' },
];

const opened: Redis[] = [];
async function open(url: string, timeoutMs = PATIENT_MS): Promise<Redis> {
  const redis = createRedis({ url, timeoutMs, logger: recordingLogger().logger });
  opened.push(redis);
  expect(await connected(redis, 30_000)).toBe(true);
  return redis;
}
/** A tenant that no other test has used. */
const tenants: string[] = [];
const tenant = () => {
  const name = `t-${randomUUID()}`;
  tenants.push(name);
  return name;
};
const failureOf = (work: Promise<unknown>): Promise<MillraceError> =>
  work.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  );

const flat = (weights: string): Embedder => ({
  fingerprint: async () => weights,
  embed: async () => new Float32Array([1, 0]),
});

let redis: Redis;
let minilm: Embedder & { close(): void };
let index: PassageIndex;

const indexOf = (embedder: Embedder, on = redis) => new PassageIndex({ redis: on, embedderFor: () => embedder });
const put = (own: string, passages: readonly Passage[] = DOCS, into = index) =>
  into.upsert({ tenant: own, index: 'docs', embedder: 'minilm', passages }, never());
const search = (own: string, query: string, more: { k?: number; minScore?: number } = {}, from = index) =>
  from.search({ tenant: own, index: 'docs', embedder: 'minilm', query, k: 2, ...more }, never());

beforeAll(async () => {
  redis = await open(address('REDIS_INDEX_URL'));
  minilm = openEmbedder();
  index = indexOf(minilm);
});

afterAll(async () => {
  for (const name of tenants) {
    const keys = await redis.keys(`millrace:index:{${name}}:*`);
    if (keys.length > 0) await redis.del(...keys);
  }
  for (const connection of opened) connection.disconnect();
  minilm.close();
});

describe('a vector index on real Redis and MiniLM', () => {
  it('finds what is nearest in meaning, with its metadata and its cosine', async () => {
    const own = tenant();
    expect(await put(own)).toBe(3);
    const found = await search(own, 'Which city is the French capital?');
    expect(found.map(({ id }) => id)).toEqual(['paris', expect.any(String)]);
    expect(found[0]).toMatchObject(DOCS[0] as Passage);
    const [a, b] = await Promise.all(
      ['Which city is the French capital?', DOCS[0]?.text ?? ''].map((text) =>
        minilm.embed(text, never(), { tenant: 'acme' }),
      ),
    );
    const cosine = (a as Float32Array).reduce((sum, value, i) => sum + value * (b?.[i] ?? 0), 0);
    // Eight bits a dimension.
    expect(found[0]?.score).toBeCloseTo(cosine, 2);
    expect((await search(own, DOCS[2]?.text ?? ''))[0]?.score).toBeCloseTo(1, 2);
  });

  it('keeps to `k` and `minScore`', async () => {
    const own = tenant();
    await put(own);
    expect(await search(own, 'capital of France', { k: 1 })).toHaveLength(1);
    expect(await search(own, 'capital of France', { k: 50 })).toHaveLength(3);
    expect((await search(own, 'capital of France', { k: 50, minScore: 0.5 })).map(({ id }) => id)).toEqual(['paris']);
    expect(await search(own, 'capital of France', { minScore: 1 })).toEqual([]);
  });

  it('replaces a passage of the same id, its text, metadata and vector', async () => {
    const own = tenant();
    await put(own);
    expect(await put(own, [{ id: 'paris', text: 'Cats sleep for sixteen hours a day.' }])).toBe(1);
    expect(await search(own, 'How long do cats sleep?', { k: 1 })).toEqual([
      { id: 'paris', text: 'Cats sleep for sixteen hours a day.', score: expect.any(Number) },
    ]);
    expect(await search(own, 'capital of France', { k: 9, minScore: 0.5 })).toEqual([]);
    expect(await search(own, 'anything', { k: 9 })).toHaveLength(3);
  });

  it('takes the later of two passages with one id', async () => {
    const own = tenant();
    const twice = ['Paris is in France.', 'Rome is in Italy.'].map((text) => ({ id: 'same', text }));
    expect(await put(own, twice)).toBe(1);
    expect((await search(own, 'Rome')).map(({ text }) => text)).toEqual(['Rome is in Italy.']);
  });

  it('takes any string for an id', async () => {
    const own = tenant();
    const ids = ['', ' ', 'a:b}{', 'naïve/…\n\u0000', '__proto__', 'EF'];
    const passages = ids.map((id, i) => ({ id, text: `Passage number ${i}.` }));
    await put(own, passages);
    expect((await search(own, 'Passage', { k: 9 })).map(({ id }) => id).sort()).toEqual([...ids].sort());
  });

  it('keeps tenants and indexes apart', async () => {
    const [mine, theirs] = [tenant(), tenant()];
    await put(mine);
    expect(await failureOf(search(theirs, 'capital'))).toMatchObject({ code: 'INDEX_NOT_FOUND' });
    await put(theirs, [{ id: 'paris', text: 'Paris is a hero of the Iliad.' }]);
    expect(await search(theirs, 'Paris', { k: 9 })).toHaveLength(1);
    expect((await search(mine, 'capital of France', { k: 1 }))[0]?.text).toBe(DOCS[0]?.text);
    // Names that would be one key if they were joined without care.
    const joined = [
      { tenant: `${mine}:a`, index: 'b' },
      { tenant: mine, index: 'a:b' },
    ];
    for (const name of joined) {
      await index.upsert({ ...name, embedder: 'minilm', passages: [{ id: '1', text: name.index }] }, never());
      const found = await index.search({ ...name, embedder: 'minilm', query: 'x', k: 9 }, never());
      expect(found.map(({ text }) => text)).toEqual([name.index]);
    }
    // The one whose tenant is no plain name, which stands in the keys as a hash.
    await redis.del(...(await redis.keys(keysOf({ tenant: `${mine}:a`, index: 'b' }).meta.replace('meta', '*'))));
  });

  it('serves the stage kinds', async () => {
    const own = tenant();
    const kinds = indexKinds(index);
    const context = { signal: never() } as WorkerContext;
    const request = { tenant: own, model: 'docs' };
    const upsert = { ...request, with: { embedder: 'minilm' }, input: { passages: DOCS as never } };
    expect(await kinds.get('upsert')?.(upsert, context)).toEqual({ count: 3 });
    const retrieve = { ...request, with: { k: 1, embedder: 'minilm' }, input: { query: 'baking' } };
    expect(await kinds.get('retrieve')?.(retrieve, context)).toMatchObject({ passages: [{ id: 'bread' }] });
    const wrong = kinds.get('retrieve')?.({ ...retrieve, with: { k: 0, embedder: 'minilm' } }, context);
    expect(await failureOf(wrong as Promise<unknown>)).toMatchObject({
      code: 'INVALID_PIPELINE',
      details: { fields: [{ field: 'k' }] },
    });
  });
});

describe('an index that another embedder made', () => {
  it('is refused, by search and by upsert, and left as it was', async () => {
    const own = tenant();
    await put(own);
    let embedCalls = 0;
    const retrained = indexOf({
      fingerprint: async () => 'other weights',
      embed: async (text, signal) => {
        embedCalls += 1;
        return minilm.embed(text, signal, { tenant: 'acme' });
      },
    });
    for (const failure of [
      await failureOf(search(own, 'capital', {}, retrained)),
      await failureOf(put(own, [{ id: 'paris', text: 'x' }], retrained)),
    ]) {
      expect(failure).toMatchObject({ code: 'INDEX_MISMATCH' });
      expect(failure.message).toContain(await minilm.fingerprint(never()));
      expect(failure.message).toMatch(/"docs".*384 dimensions.*other weights/);
    }
    expect(embedCalls, 'nothing is embedded in vain').toBe(0);
    expect((await search(own, 'capital of France', { k: 1 }))[0]?.text).toBe(DOCS[0]?.text);
  });

  it('is refused where only the length of the vectors tells', async () => {
    const own = tenant();
    await put(own);
    const short = indexOf({
      fingerprint: (signal) => minilm.fingerprint(signal),
      embed: async () => new Float32Array([1, 0, 0]),
    });
    for (const work of [search(own, 'capital', {}, short), put(own, DOCS, short)]) {
      const failure = await failureOf(work);
      expect(failure).toMatchObject({ code: 'INDEX_MISMATCH' });
      expect(failure.message).toMatch(/384 dimensions.*3 dimensions/);
    }
  });

  it('has one maker when two begin at once', async () => {
    const own = tenant();
    const [vector = new Float32Array()] = randomVectors(1, 8, 1);
    const makers = Array.from({ length: 6 }, (_, i) =>
      indexOf({ fingerprint: async () => `weights ${i}`, embed: async () => vector }),
    );
    const results = await Promise.allSettled(makers.map((maker) => put(own, DOCS, maker)));
    const failures = results.filter((result) => result.status === 'rejected');
    expect(failures).toHaveLength(5);
    for (const { reason } of failures) expect(reason).toMatchObject({ code: 'INDEX_MISMATCH' });
  });
});

describe('1000 passages', () => {
  it('are found as an exact search finds them, to 95 % and more', async () => {
    const own = tenant();
    const vectors = randomVectors(1_000, 384, 7);
    const queries = randomVectors(50, 384, 8);
    const known = new Map([...vectors.entries()].map(([i, vector]) => [`passage ${i}`, vector]));
    for (const [i, vector] of queries.entries()) known.set(`query ${i}`, vector);
    const scripted = indexOf({
      fingerprint: async () => 'random',
      embed: async (text) => known.get(text) ?? expect.unreachable(text),
    });
    const passages = vectors.map((_, i) => ({ id: `${i}`, text: `passage ${i}` }));
    expect(await put(own, passages, scripted)).toBe(1_000);
    let right = 0;
    for (const [i, query] of queries.entries()) {
      const exact = new Set(byCosine(vectors, query).slice(0, 10).map(String));
      const found = await search(own, `query ${i}`, { k: 10 }, scripted);
      expect(found).toHaveLength(10);
      expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a));
      right += found.filter(({ id }) => exact.has(id)).length;
    }
    process.stderr.write(`vector index: recall at 10 of 1000 is ${right / 500}\n`);
    expect(right / 500).toBeGreaterThanOrEqual(0.95);
  });
});

describe('the embedder fails or is slow', () => {
  it('passes its error on, stops asking and leaves the rest to the next try', async () => {
    const own = tenant();
    const failure = new Error('no room');
    let embedCalls = 0;
    const flaky = indexOf({
      fingerprint: async () => 'flaky',
      embed: async () => {
        embedCalls += 1;
        if (embedCalls > 40) throw failure;
        return new Float32Array([1, 0]);
      },
    });
    const many = Array.from({ length: 200 }, (_, i) => ({ id: `${i}`, text: `${i}` }));
    await expect(put(own, many, flaky)).rejects.toBe(failure);
    expect(embedCalls).toBeLessThanOrEqual(48);
    expect(await search(own, 'x', { k: 1 }, indexOf(flat('flaky')))).toHaveLength(1);
  });

  it('asks for eight embeddings at once and no more', async () => {
    let now = 0;
    let most = 0;
    const counting = indexOf({
      fingerprint: async () => 'counting',
      embed: async () => {
        now += 1;
        most = Math.max(most, now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now -= 1;
        return new Float32Array([1, 0]);
      },
    });
    const many = Array.from({ length: 64 }, (_, i) => ({ id: `${i}`, text: `${i}` }));
    await put(tenant(), many, counting);
    expect(most).toBe(8);
  });

  it('ends with the signal’s reason', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const hanging = indexOf({
      fingerprint: async () => 'hanging',
      embed: (_, signal) => {
        setImmediate(() => abort.abort(reason));
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        );
      },
    });
    const passages = [...DOCS];
    const upsert = hanging.upsert({ tenant: tenant(), index: 'docs', embedder: 'x', passages }, abort.signal);
    await expect(upsert).rejects.toBe(reason);
  });
});

describe('a quota', () => {
  const limited = (quota: { passages: number; bytes: number }) =>
    new PassageIndex({ redis, embedderFor: () => flat('flat'), quota });
  const some = (count: number, from = 0, text = 'text') =>
    Array.from({ length: count }, (_, i) => ({ id: `${from + i}`, text }));
  const into = (index: string, own: string, passages: readonly Passage[], store: PassageIndex) =>
    store.upsert({ tenant: own, index, embedder: 'flat', passages }, never());

  it('bounds the passages of a tenant over all its indices, and leaves the others theirs', async () => {
    const own = tenant();
    const store = limited({ passages: 20, bytes: 0 });
    expect(await into('a', own, some(12), store)).toBe(12);
    expect(await into('b', own, some(8), store)).toBe(8);
    expect(await failureOf(into('b', own, some(1, 8), store))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { fields: [{ field: 'passages' }] },
    });
    // What it has may be replaced.
    expect(await into('b', own, some(8, 0, 'another text'), store)).toBe(8);
    expect(await into('a', tenant(), some(20), store)).toBe(20);
  });

  it('bounds their bytes, and writes nothing of a batch that is too large', async () => {
    const own = tenant();
    const store = limited({ passages: 0, bytes: 10_000 });
    await into('a', own, some(4, 0, 'x'.repeat(2_000)), store);
    expect(await failureOf(into('a', own, some(2, 4, 'x'.repeat(2_000)), store))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    const found = await store.search({ tenant: own, index: 'a', embedder: 'flat', query: 'x', k: 9 }, never());
    expect(found).toHaveLength(4);
    // Shorter texts in their place give room back.
    await into('a', own, some(4, 0, 'x'), store);
    await into('a', own, some(2, 4, 'x'.repeat(2_000)), store);
  });

  it('holds writers at the same time to it together', async () => {
    const own = tenant();
    const store = limited({ passages: 50, bytes: 0 });
    const writes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => into(`index-${i % 3}`, own, some(10, 10 * i), store)),
    );
    expect(writes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
  });

  it('is free again for an index that was deleted, once it is made anew', async () => {
    const own = tenant();
    const store = limited({ passages: 10, bytes: 0 });
    await into('a', own, some(10), store);
    const keys = keysOf({ tenant: own, index: 'a' });
    await redis.del(keys.meta, keys.of('flat').vectors, keys.of('flat').passages);
    expect(await into('a', own, some(10, 100), store)).toBe(10);
  });
});

describe('an index that is deleted', () => {
  const store = () => new PassageIndex({ redis, embedderFor: () => flat('flat'), quota: { passages: 100, bytes: 0 } });
  const some = (count: number, text = 'text') => Array.from({ length: count }, (_, i) => ({ id: `${i}`, text }));
  const into = (own: string, name: string, passages: readonly Passage[]) =>
    store().upsert({ tenant: own, index: name, embedder: 'flat', passages }, never());
  /** The number of its passages, each of which has a vector. */
  const size = async (own: string, name: string) => {
    const at = keysOf({ tenant: own, index: name }).of('flat');
    const passages = await redis.hlen(at.passages);
    expect(await redis.call('VCARD', at.vectors)).toBe(passages);
    return passages;
  };
  const quietly = () => undefined;

  it('is gone with its passages and its share of the quota, and leaves the others theirs', async () => {
    const own = tenant();
    await into(own, 'a', some(90));
    await into(own, 'b', some(10));
    const counts: number[] = [];
    expect(await store().drop({ tenant: own, index: 'a' }, never(), (count) => counts.push(count))).toBe(90);
    expect(counts.length, 'some at a time').toBeGreaterThan(1);
    const keys = keysOf({ tenant: own, index: 'a' });
    expect(await redis.exists(keys.meta, keys.of('flat').vectors, keys.of('flat').passages)).toBe(0);
    expect(Object.keys(await redis.hgetall(keys.use))).toEqual([keysOf({ tenant: own, index: 'b' }).segment]);
    const searched = store().search({ tenant: own, index: 'a', embedder: 'flat', query: 'x', k: 1 }, never());
    expect(await failureOf(searched)).toMatchObject({ code: 'INDEX_NOT_FOUND' });
    expect(await size(own, 'b')).toBe(10);
    expect(await into(own, 'a', some(90))).toBe(90);
  });

  it('gives room for the passages that it has lost, and has another version', async () => {
    const own = tenant();
    await into(own, 'a', some(100));
    const name = { tenant: own, index: 'a' };
    const before = await store().version(name);
    expect(await store().remove(name, ['1', '2', '2', 'unknown'])).toBe(2);
    expect(await store().version(name)).not.toBe(before);
    expect(await size(own, 'a')).toBe(98);
    const { use, segment } = keysOf(name);
    // Twice its id, the two dimensions, and the JSON.
    const bytesOf = (id: string) => 2 * id.length + 2 + JSON.stringify({ text: 'text' }).length;
    const left = some(100).filter(({ id }) => id !== '1' && id !== '2');
    expect(await redis.hget(use, segment)).toBe(`98 ${left.reduce((sum, { id }) => sum + bytesOf(id), 0)}`);
    expect(await failureOf(into(own, 'b', some(3)))).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect(await into(own, 'b', some(2))).toBe(2);
  });

  it('goes on where an interruption has left it', async () => {
    const own = tenant();
    await into(own, 'a', some(90));
    const stop = new AbortController();
    const reason = new Error('interrupted');
    const name = { tenant: own, index: 'a' };
    await expect(store().drop(name, stop.signal, () => stop.abort(reason))).rejects.toBe(reason);
    const left = await size(own, 'a');
    expect(left).toBeGreaterThan(0);
    expect(await store().drop(name, never(), quietly)).toBe(left);
    expect(await failureOf(store().drop(name, never(), quietly))).toMatchObject({ code: 'INDEX_NOT_FOUND' });
    expect(await failureOf(store().remove(name, ['1']))).toMatchObject({ code: 'INDEX_NOT_FOUND' });
  });

  it('is made again by a write that was under way', async () => {
    const own = tenant();
    const name = { tenant: own, index: 'a' };
    await into(own, 'a', some(5));
    const keys = keysOf(name);
    const passages = new RedisPassages(redis, { passages: 0, bytes: 0 });
    const meta = await passages.claim(keys, { embedder: 'flat', fingerprint: 'flat', dimensions: 2 });
    await store().drop(name, never(), quietly);
    const entry = { passage: { id: 'late', text: 'text' }, vector: new Float32Array([1, 0]) };
    await passages.write(keys, meta, [entry]);
    expect(await size(own, 'a')).toBe(1);
    expect(await redis.hget(keys.use, keys.segment)).toMatch(/^1 /);
  });
});

describe('Redis fails', () => {
  it('full: STORE_FULL, not "away", and what was there can be searched', async () => {
    const server = await ownRedis(address('REDIS_URL'));
    await server.start();
    const admin = await open(server.url);
    const own = tenant();
    const small = indexOf(minilm, admin);
    await put(own, DOCS, small);
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    await admin.config('SET', 'maxmemory', '1');
    expect(await failureOf(put(own, [{ id: 'new', text: 'new' }], small))).toMatchObject({ code: 'STORE_FULL' });
    expect(await search(own, 'capital', {}, small)).toHaveLength(2);
    await server.kill();
  });

  it('away: STORE_UNAVAILABLE within the timeout, for the policy to try again', async () => {
    const server = await ownRedis(address('REDIS_INDEX_URL'));
    await server.start();
    const own = tenant();
    const far = indexOf(minilm, await open(server.url, TIMEOUT_MS));
    // By a connection that waits: only the search is to be given up.
    await put(own, DOCS, indexOf(minilm, await open(server.url)));
    server.stall();
    const away = async () =>
      expect(await failureOf(search(own, 'capital', {}, far))).toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await soonest(TIMEOUT_MS + 500, away)).toBeLessThan(TIMEOUT_MS + 500);
    server.resume();
    await expect.poll(() => search(own, 'capital', {}, far).catch(() => []), { timeout: 30_000 }).toHaveLength(2);
    await server.kill();
    expect(await failureOf(put(own, DOCS, far))).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('without vector sets: says which Redis is needed', async () => {
    const server = await ownRedis(address('REDIS_INDEX_URL'));
    await server.start();
    const admin = await open(server.url);
    // To a user without the commands it is as if they were not there.
    await admin.call('ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '+@all', '-vadd', '-vsim');
    const plain = indexOf(minilm, await open(server.url.replace('//', '//plain:secret@')));
    const failure = await failureOf(put(tenant(), DOCS, plain));
    expect(failure).toMatchObject({ code: 'INDEX_UNSUPPORTED' });
    expect(failure.message).toMatch(/Redis 8 or later.*Redis [\d.]+/);
    await server.kill();
  });
});
