import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Embedder } from '../../activities/cache/index.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { model, never, openCache, recordingLogger, request, type TestCache } from '../support/caches.js';
import { caught } from '../support/caught.js';
import { openEmbedder } from '../support/embedder.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import {
  HELD_OUT_NEAR_MISSES,
  HELD_OUT_PARAPHRASES,
  NEAR_MISSES,
  PARAPHRASES,
  type QuestionPair,
} from '../support/question-pairs.js';
import { address, until } from '../support/runs.js';
import { soonest } from '../support/soonest.js';
import { unlessStill } from '../support/unless-still.js';

/** Of the connections to a server that fails. */
const TIMEOUT_MS = 250;
/** Of the others: a machine that stands still must not change what a cache gives. */
const PATIENT_MS = 10_000;
const CAPITAL = 'What is the capital of France?';
const SAME = 'Which city is the capital of France?';

const opened: Redis[] = [];
function open(url: string, timeoutMs = PATIENT_MS): Redis {
  const connection = createRedis({ url, timeoutMs, logger: recordingLogger().logger });
  opened.push(connection);
  return connection;
}
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
/** A tenant that no other test has used. */
const tenant = () => `t-${randomUUID()}`;

let redis: Redis;
let embedder: Embedder & { close(): void };
let test: TestCache;

beforeAll(async () => {
  redis = open(address('REDIS_CACHE_URL'));
  expect(await connected(redis, 30_000)).toBe(true);
  embedder = openEmbedder();
  test = openCache(redis, embedder);
});

afterAll(() => {
  for (const connection of opened) connection.disconnect();
  embedder.close();
});

/** Lookups that have the lease of their text or wait for it. */
async function lookedUp(...caches: readonly TestCache[]): Promise<number> {
  const all = await Promise.all(caches.map(({ metrics }) => metrics.cacheSeconds.get()));
  const counts = all.flatMap(({ values }) => values.filter(({ metricName }) => metricName?.endsWith('_count')));
  return counts.reduce((sum, { value }) => sum + value, 0);
}

/** Asks through the cache with a model that answers `text`. */
const through = (key: string, text: string, more: Parameters<typeof request>[1] = {}, cache = test.cache) =>
  cache.through(request(key, more), model(text).ask, never());

describe('semantic cache on real Redis and MiniLM', () => {
  it('says what it matches with', async () => {
    expect(await test.cache.describe()).toMatch(/^Redis [\d.]+ vector sets$/);
  });

  it('serves the same text and the same question in other words', async () => {
    const own = { tenant: tenant() };
    expect(await through(CAPITAL, 'Paris', own)).toEqual({ output: { text: 'Paris' }, outcome: 'miss' });
    for (const key of [CAPITAL, 'what is the capital of France?', SAME, 'Tell me the capital of France.']) {
      expect(await through(key, 'other', own), key).toMatchObject({ output: { text: 'Paris' }, outcome: 'hit' });
    }
    expect((await test.metrics.cacheSeconds.get()).values.length).toBeGreaterThan(0);
  });

  it('forgets an answer when its time is up', async () => {
    const own = await caught('an answer in its time', async () => {
      const its = { tenant: tenant(), ttlMs: 2_000 };
      const began = performance.now();
      await through(CAPITAL, 'old', its);
      const { output } = await through(SAME, 'other', its);
      if (performance.now() - began >= its.ttlMs) return undefined;
      expect(output).toEqual({ text: 'old' });
      return its;
    });
    await sleep(2_100);
    expect(await through(SAME, 'new', own)).toEqual({ output: { text: 'new' }, outcome: 'miss' });
  });

  it('keeps tenants, pipelines, stages, kinds, models, contexts and embedders apart', async () => {
    const own = { tenant: tenant() };
    await through(CAPITAL, 'mine', own);
    const apart: Parameters<typeof request>[1][] = [
      { tenant: tenant() },
      { ...own, pipeline: 'other' },
      { ...own, stage: 'other' },
      { ...own, kind: 'code' },
      { ...own, model: 'other' },
      { ...own, context: { history: ['We speak of wine.'] } },
      { ...own, embedder: 'other' },
      { ...own, ttlMs: 30_000 },
    ];
    for (const other of apart) {
      expect(await through(CAPITAL, 'theirs', other), JSON.stringify(other)).toMatchObject({ outcome: 'miss' });
      expect(await through(SAME, 'not asked', other)).toMatchObject({ output: { text: 'theirs' }, outcome: 'hit' });
    }
    const retrained = openCache(redis, { ...embedder, fingerprint: async () => 'other weights' });
    expect(await through(CAPITAL, 'x', own, retrained.cache)).toMatchObject({ outcome: 'miss' });
  });

  it('puts no user text into key names', async () => {
    const own = { tenant: tenant(), context: { secret: 'xyzzy' } };
    await through('Who is Zebediah?', 'a name', own);
    const keys = await redis.keys(`*${own.tenant}*`);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.join(' ')).not.toMatch(/zebediah|xyzzy/i);
  });

  it('keeps no more of a tenant in an hour than its allowance, on all workers, and gives the rest unkept', async () => {
    const own = { tenant: tenant() };
    const [one, two] = [openCache(redis, embedder, {}, 1_000), openCache(redis, embedder, {}, 1_000)];
    const long = 'x'.repeat(400);
    expect((await through('what is a lake?', long, own, one.cache)).outcome).toBe('miss');
    expect((await through('who wrote Hamlet?', long, own, two.cache)).outcome).toBe('miss');
    expect((await through('how far is the moon?', long, own, one.cache)).output).toEqual({ text: long });
    expect(one.warnings.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('allowance of the semantic cache'),
    );
    expect((await through('what is a lake?', 'other', own, two.cache)).outcome).toBe('hit');
    expect((await through('how far is the moon?', 'again', own, two.cache)).output).toEqual({ text: 'again' });
    expect((await through('what is a lake?', long, { tenant: tenant() }, one.cache)).outcome).toBe('miss');
  });

  it('forgets vectors whose answers have expired', async () => {
    const own = { tenant: tenant() };
    for (let i = 0; i < 8; i += 1) await through(`Who is number ${i}?`, `${i}`, own);
    const [vectors = ''] = await redis.keys(`*${own.tenant}*:vectors`);
    expect(await redis.call('VCARD', vectors)).toBe(8);
    // A full store evicts keys that have a time to live: the set would be lost as a whole.
    expect(await redis.pttl(vectors)).toBe(-1);
    const entries = await redis.keys(`*${own.tenant}*:entry:*`);
    await redis.del(...entries);
    await through('Who is number 9?', '9', own);
    expect(await redis.call('VCARD', vectors)).toBeLessThanOrEqual(5);
    expect(await through('Tell me who is number 9', 'other', own)).toMatchObject({ outcome: 'hit' });
  });
});

describe('questions asked at the same time', () => {
  it('asks once for 20 on two workers', async () => {
    const own = { tenant: tenant() };
    const connection = open(address('REDIS_CACHE_URL'));
    await connected(connection, 30_000);
    const both = [openCache(redis, embedder), openCache(connection, embedder)];
    const caches = both.map(({ cache }) => cache);
    const { ask: answer, calls } = model('Paris');
    const ask = async () => {
      await until('all others wait', async () => (await lookedUp(...both)) === 20);
      return await answer();
    };
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => caches[i % 2]?.through(request(CAPITAL, own), ask, never())),
    );
    expect(calls()).toBe(1);
    expect(results.map((result) => result?.outcome).sort()).toEqual(['miss', ...Array(19).fill('shared')]);
    expect(new Set(results.map((result) => result?.output.text))).toEqual(new Set(['Paris']));
  });

  it('hands over at once when the first one fails, whose error passes unchanged', async () => {
    const own = { tenant: tenant() };
    // Who is not told of the failure waits for the end of the lease.
    const [leaseMs, waitMs] = [60_000, 120_000];
    const all = openCache(redis, embedder, { leaseMs, waitMs });
    const failure = new Error('model down');
    let asked = false;
    let failedAt = Number.NaN;
    const fail = async () => {
      asked = true;
      await until('the others wait', async () => (await lookedUp(all)) === 4);
      failedAt = performance.now();
      throw failure;
    };
    const rejected = expect(all.cache.through(request(CAPITAL, own), fail, never())).rejects.toBe(failure);
    await until('the first one has asked', () => asked);
    const others = await Promise.all([1, 2, 3].map(() => through(CAPITAL, 'Paris', own, all.cache)));
    expect(others.map(({ outcome }) => outcome).sort()).toEqual(['miss', 'shared', 'shared']);
    expect(performance.now() - failedAt).toBeLessThan(leaseMs / 2);
    await rejected;
  });

  it('hands over when the lease of a dead worker expires', async () => {
    const own = { tenant: tenant() };
    // A worker that dies: its connection is gone, it neither renews nor releases.
    const connection = open(address('REDIS_CACHE_URL'));
    await connected(connection, 30_000);
    const dead = openCache(connection, embedder, { leaseMs: 1_000 });
    let asked = false;
    const ask = () => {
      asked = true;
      return new Promise<never>(() => undefined);
    };
    const hanging = dead.cache.through(request(CAPITAL, own), ask, never());
    hanging.catch(() => undefined);
    await until('it has asked', () => asked);
    connection.disconnect();
    const waitMs = 120_000;
    const { cache } = openCache(redis, embedder, { waitMs });
    const started = performance.now();
    expect(await through(CAPITAL, 'Paris', own, cache)).toMatchObject({ outcome: 'miss' });
    expect(performance.now() - started, 'not the wait for an answer').toBeLessThan(waitMs / 4);
  });

  it('keeps the lease of a slow model', () =>
    unlessStill(async () => {
      const own = { tenant: tenant() };
      const { cache } = openCache(redis, embedder, { leaseMs: 2_000 });
      const { ask, calls } = model('slow', 4_500);
      const results = await Promise.all([0, 1, 2].map(() => cache.through(request(CAPITAL, own), ask, never())));
      expect(calls()).toBe(1);
      expect(results).toHaveLength(3);
    }));

  it('ends a wait on abort, and after its limit asks by itself', async () => {
    const own = { tenant: tenant() };
    const { cache } = openCache(redis, embedder, { waitMs: 1_000 });
    let asked = false;
    let answers = () => {};
    const answered = new Promise<void>((resolve) => {
      answers = resolve;
    });
    const ask = async () => {
      asked = true;
      await answered;
      return { text: 'slow' };
    };
    const slow = cache.through(request(CAPITAL, own), ask, never());
    await until('the first one has asked', () => asked);
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const waiting = cache.through(request(CAPITAL, own), model('never').ask, abort.signal);
    setTimeout(() => abort.abort(reason), 50);
    await expect(waiting).rejects.toBe(reason);
    expect(await through(CAPITAL, 'own', own, cache)).toEqual({ output: { text: 'own' }, outcome: 'miss' });
    answers();
    await slow;
  });

  it('keeps nothing empty', async () => {
    const own = { tenant: tenant() };
    expect(await through(CAPITAL, '  ', own)).toMatchObject({ outcome: 'miss' });
    expect(await through(CAPITAL, 'Paris', own)).toEqual({ output: { text: 'Paris' }, outcome: 'miss' });
  });
});

describe('Redis fails', () => {
  let server: OwnRedis;
  let connection: Redis;
  const rejections: unknown[] = [];
  const onRejection = (reason: unknown) => rejections.push(reason);

  beforeAll(async () => {
    process.on('unhandledRejection', onRejection);
    server = await ownRedis(address('REDIS_CACHE_URL'));
    await server.start();
    connection = open(server.url, TIMEOUT_MS);
    await connected(connection, 30_000);
  });

  afterAll(async () => {
    process.off('unhandledRejection', onRejection);
    await server.kill();
  });

  it('stalled: bypasses within the timeout, and hits return when it goes on', async () => {
    const { cache, warnings } = openCache(connection, embedder);
    await through(CAPITAL, 'Paris', {}, cache);
    server.stall();
    const bypass = async () => {
      const { ask, calls } = model('from the model');
      const results = await Promise.all([1, 2, 3].map(() => cache.through(request(CAPITAL), ask, never())));
      expect(results).toEqual(Array(3).fill({ output: { text: 'from the model' }, outcome: 'bypass' }));
      expect(calls()).toBe(3);
    };
    expect(await soonest(TIMEOUT_MS + 1_000, bypass)).toBeLessThan(TIMEOUT_MS + 1_000);
    expect(warnings).toHaveLength(1);
    server.resume();
    await expect.poll(async () => (await through(CAPITAL, 'x', {}, cache)).outcome).toBe('hit');
  });

  it('killed in mid-call: the answer comes all the same, and hits return within seconds of a restart', async () => {
    const { cache } = openCache(connection, embedder);
    const slow = cache.through(request('Who wrote Faust?'), model('Goethe', 2_000).ask, never());
    const waiting = through('Who wrote Faust?', 'Goethe himself', {}, cache);
    await sleep(150);
    await server.kill();
    expect(await slow).toEqual({ output: { text: 'Goethe' }, outcome: 'bypass' });
    expect(await waiting).toEqual({ output: { text: 'Goethe himself' }, outcome: 'bypass' });
    const bypass = async () => expect(await through(CAPITAL, 'down', {}, cache)).toMatchObject({ outcome: 'bypass' });
    expect(await soonest(TIMEOUT_MS + 1_000, bypass)).toBeLessThan(TIMEOUT_MS + 1_000);
    await server.start();
    await expect.poll(async () => (await through(SAME, 'Paris', {}, cache)).outcome, { timeout: 10_000 }).toBe('hit');
    expect(rejections).toEqual([]);
  });
});

describe('a Redis without vector sets', () => {
  it('says so and matches exact text only', async () => {
    const server = await ownRedis(address('REDIS_CACHE_URL'));
    await server.start();
    const admin = open(server.url);
    await connected(admin, 30_000);
    // To a user without the commands it is as if they were not there.
    await admin.call('ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '+@all', '-vadd', '-vsim', '-vcard');
    const connection = open(server.url.replace('//', '//plain:secret@'));
    await connected(connection, 30_000);
    const { cache } = openCache(connection, embedder);
    expect(await cache.describe()).toMatch(/^semantic matching off: this Redis has no vector sets \(Redis [\d.]+\)/);
    expect(await through(CAPITAL, 'Paris', {}, cache)).toMatchObject({ outcome: 'miss' });
    expect(await through(CAPITAL, 'other', {}, cache)).toMatchObject({ output: { text: 'Paris' }, outcome: 'hit' });
    expect(await through(SAME, 'asked', {}, cache)).toEqual({ output: { text: 'asked' }, outcome: 'miss' });
    await server.kill();
  });
});

describe('a store that has little memory', () => {
  it('is relieved before Redis evicts by itself: no vector set is lost', async () => {
    const server = await ownRedis(address('REDIS_CACHE_URL'));
    await server.start();
    const { logger } = recordingLogger();
    const connection = createRedis({ url: server.url, timeoutMs: 10_000, logger });
    try {
      await connected(connection, 30_000);
      const MOST = 12 * 1024 * 1024;
      await connection.config('SET', 'maxmemory', MOST, 'maxmemory-policy', 'volatile-lru');
      const direction = (text: string) =>
        Float32Array.from({ length: 384 }, (_, i) => Math.sin((i + 1) * (1 + Number(/\d+/.exec(text)?.[0]))) / 14);
      const apart: Embedder = { fingerprint: async () => 'f', embed: async (text) => direction(text) };
      const small = openCache(connection, apart);
      const own = { tenant: tenant() };
      const ANSWERS = 1_000;
      let next = 0;
      const fill = async () => {
        for (let n = next++; n < ANSWERS; n = next++)
          await through(`Who is number ${n}?`, 'x'.repeat(16_000), own, small.cache);
      };
      await Promise.all(Array.from({ length: 8 }, fill));
      const field = async (section: string, name: string) =>
        Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await connection.info(section))?.[1]);
      expect(await field('stats', 'evicted_keys')).toBe(0);
      expect(await field('memory', 'used_memory')).toBeLessThan(MOST);
      const { entries, evicted } = await small.budget.held(own.tenant);
      expect(evicted).toBeGreaterThan(ANSWERS / 5);
      expect(entries).toBeGreaterThan(ANSWERS / 4);
      const sets = await connection.keys('*:vectors');
      expect(sets).toHaveLength(1);
      expect(Number(await connection.call('VCARD', sets[0] as string))).toBeGreaterThanOrEqual(entries);
      expect(small.warnings).toEqual([]);
    } finally {
      connection.disconnect();
      await server.kill();
    }
  });
});

describe('question pairs with real embeddings', () => {
  /** Outcome of the second question of each pair, asked after the first alone in a tenant of their own. */
  async function outcomes(pairs: readonly QuestionPair[]): Promise<[pair: QuestionPair, outcome: string][]> {
    const found: [QuestionPair, string][] = [];
    for (const pair of pairs) {
      const own = { tenant: tenant() };
      await through(pair[0], 'first', own);
      found.push([pair, (await through(pair[1], 'second', own)).outcome]);
    }
    return found;
  }
  const hits = (found: [QuestionPair, string][]) =>
    found.filter(([, outcome]) => outcome === 'hit').map(([pair]) => pair);

  it('never serves a near miss', async () => {
    expect(hits(await outcomes(NEAR_MISSES))).toEqual([]);
    expect(hits(await outcomes(HELD_OUT_NEAR_MISSES))).toEqual([]);
  });

  it('serves paraphrases that differ in form alone', async () => {
    const sets = { 'written with the guards': PARAPHRASES, 'held out': HELD_OUT_PARAPHRASES };
    for (const [name, pairs] of Object.entries(sets)) {
      const hit = hits(await outcomes(pairs)).length;
      process.stderr.write(`paraphrases ${name}: ${hit} hits of ${pairs.length}\n`);
      expect(hit / pairs.length).toBeGreaterThanOrEqual(0.25);
    }
  });
});
