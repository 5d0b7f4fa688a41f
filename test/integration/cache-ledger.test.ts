import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Budget } from '../../activities/cache/index.js';
import { VectorSets } from '../../stores/redis/index.js';
import { caught } from '../support/caught.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address } from '../support/runs.js';

/**
 * A store of its own: which tenant takes most, and how full the store is, must be known, and no other worker removes what has
 * expired.
 */
let server: OwnRedis;
let redis: Redis;

beforeAll(async () => {
  server = await ownRedis(address('REDIS_CACHE_URL'));
  await server.start();
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.kill();
});
beforeEach(() => redis.flushall());

const PARTITION = 'ab'.repeat(32);
const answerOf = (n: number) => ({ tenant: 'acme', partition: PARTITION, id: n.toString(16).padStart(32, '0') });
const keyOf = (n: number) => `millrace:cache:{acme:${PARTITION}}:entry:${answerOf(n).id}`;
/** Stores answers that count 1,000 bytes each. */
async function put(budget: Budget, from: number, count: number, ttlMs = 600_000) {
  for (let n = from; n < from + count; n += 1) {
    await redis.set(keyOf(n), '{}', 'PX', ttlMs);
    await budget.stored(answerOf(n), 300, 100, ttlMs);
  }
}

describe('the ledger of a tenant’s cached answers', () => {
  it.each(['value', 'until', 'of', 'sum'])('counts anew if the store has lost its key "%s"', async (lost) => {
    const budget = new Budget(redis, 5_000, () => 1);
    await put(budget, 0, 5);
    await redis.del(`millrace:cache-budget:{acme}:${lost}`);
    await budget.used(answerOf(0));
    await put(budget, 5, 1);
    expect(await redis.exists(keyOf(5))).toBe(1);
    expect(await budget.held('acme')).toMatchObject({ entries: 1, bytes: 1_000 });
    // The answers that it no longer knows are not evicted: they end by themselves.
    expect(await redis.exists(keyOf(4))).toBe(1);
    await put(budget, 6, 5);
    expect(await budget.held('acme')).toMatchObject({ entries: 5, bytes: 5_000 });
  });

  it('counts anew if it names bytes of which it has no answer', async () => {
    const budget = new Budget(redis, 5_000, () => 1);
    await put(budget, 0, 1);
    await redis.hincrby('millrace:cache-budget:{acme}:sum', 'bytes', 50_000);
    await put(budget, 1, 3);
    expect(await budget.held('acme')).toMatchObject({ entries: 2, bytes: 2_000 });
  });

  it('forgets what has expired, with its vector', async () => {
    const budget = new Budget(redis, 0, () => 1);
    await put(budget, 0, 1, 50);
    const set = `millrace:cache:{acme:${PARTITION}}:vectors`;
    await new VectorSets(redis).add(set, answerOf(0).id, Float32Array.of(1, 0));
    await sleep(80);
    await put(budget, 1, 1);
    expect(await budget.held('acme')).toMatchObject({ entries: 1, bytes: 1_000, evicted: 0 });
    expect(await redis.exists(set)).toBe(0);
  });

  it('keeps an answer whose earlier copy has expired, and what it was worth', async () => {
    const budget = await caught('an answer that is used before it expires', async () => {
      await redis.flushall();
      const own = new Budget(redis, 0, () => 1);
      await put(own, 0, 1, 1_000);
      await own.used(answerOf(0));
      return (await redis.exists(keyOf(0))) === 1 ? own : undefined;
    });
    await sleep(1_050);
    await put(budget, 0, 1);
    expect(await redis.exists(keyOf(0))).toBe(1);
    expect(await budget.held('acme')).toMatchObject({ entries: 1, bytes: 1_000, evicted: 0 });
    // Used twice before: 2 × 100 ms / 1,000 bytes.
    const [, value] = await redis.zrange('millrace:cache-budget:{acme}:value', '0', '0', 'WITHSCORES');
    expect(Number(value)).toBeCloseTo(0.2);
  });

  it('of a full store removes as many bytes as are needed beside those that had expired', async () => {
    const budget = new Budget(redis, 0, () => 1);
    await put(budget, 0, 300);
    // Few enough to be removed by two scripts.
    await put(budget, 300, 70, 1_000);
    await sleep(1_050);
    // Of ten megabytes nine may be used.
    Object.assign(redis, { info: async () => `used_memory:${9_000_000 + 200_000 - 700}\r\nmaxmemory:10000000\r\n` });
    await budget.makeRoom(0);
    expect(await budget.held('acme')).toMatchObject({ entries: 100, bytes: 100_000, evicted: 200 });
  });
});
