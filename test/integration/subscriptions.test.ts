import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connected } from '../../stores/redis/index.js';
import { RedisSubscriptions, type Subscription } from '../../stores/subscriptions/index.js';
import { testRedis } from '../support/test-worker.js';

/** Receivers of a run's events in a real Redis: whose they are, who takes them back, and how many there may be. */

let redis: Redis;
let store: RedisSubscriptions;
beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 60_000);
  store = new RedisSubscriptions(redis);
});
afterAll(() => redis.disconnect());

const KEPT_MS = 600_000;
const newRun = () => ({ tenant: 'acme', run: `chat-${randomUUID()}` });
const receiver = (id: string, more: Partial<Subscription> = {}): Subscription => ({
  ...{ id, owner: 'key:ada', request: randomUUID(), url: 'https://a.test/', waits: true, about: {} },
  ...more,
});

describe('a subscription', () => {
  it('is taken back by the request that has added it', async () => {
    const of = newRun();
    const [own, other] = [receiver('a'), receiver('b')];
    expect(await store.put(of, own, KEPT_MS)).toBe(true);
    expect(await store.put(of, other, KEPT_MS)).toBe(true);
    await store.takeBack(of, own);
    expect(await store.list(of)).toEqual([other]);
  });

  it('is not taken back once another request has replaced it, even by the same', async () => {
    const of = newRun();
    const [own, other] = [receiver('a'), receiver('a')];
    expect(await store.put(of, own, KEPT_MS, false)).toBe(true);
    expect(await store.put(of, other, KEPT_MS)).toBe(false);
    await store.takeBack(of, own);
    expect(await store.list(of)).toEqual([other]);
  });

  it('is not taken back by a request that has found one of the same id', async () => {
    const of = newRun();
    const [first, second] = [receiver('a'), receiver('a', { url: 'https://b.test/' })];
    expect(await store.put(of, first, KEPT_MS, false)).toBe(true);
    expect(await store.put(of, second, KEPT_MS, false)).toBe(false);
    await store.takeBack(of, second);
    expect(await store.list(of)).toEqual([first]);
    await store.takeBack(of, first);
    await store.takeBack(of, first);
    expect(await store.list(of)).toEqual([]);
  });
});

describe('the limit of a tenant', () => {
  const most = 3;
  let few: RedisSubscriptions;
  let tenant: string;
  beforeEach(() => {
    few = new RedisSubscriptions(redis, most);
    tenant = `t-${randomUUID()}`;
  });
  const run = (id: string, of = tenant) => ({ tenant: of, run: `chat-${id}` });
  const exceeded = { code: 'QUOTA_EXCEEDED', details: { fields: [{ field: 'url' }] } };
  const fill = async (keptMs = KEPT_MS) => {
    await few.put(run('a'), receiver('a'), keptMs);
    await few.put(run('a'), receiver('b'), keptMs);
    await few.put(run('b'), receiver('a'), keptMs);
  };

  it('is that of its subscriptions to all runs; one that is there may be replaced, and others have their own', async () => {
    await fill();
    await expect(few.put(run('c'), receiver('a'), KEPT_MS)).rejects.toMatchObject(exceeded);
    expect(await few.list(run('c'))).toEqual([]);
    expect(await few.put(run('b'), receiver('a', { url: 'https://b.test/' }), KEPT_MS)).toBe(false);
    expect(await few.put(run('c', `${tenant}2`), receiver('a'), KEPT_MS)).toBe(true);
  });

  it('is of those that are there: not removed, taken back, or erased with their run', async () => {
    await fill();
    const other = receiver('c');
    const frees: (() => Promise<void>)[] = [
      () => few.remove(run('b'), { id: 'a', owner: 'key:ada' }),
      () => few.takeBack(run('c'), other),
      () => few.erase(run('a')),
    ];
    for (const [i, free] of frees.entries()) {
      await expect(few.put(run('d'), receiver('a'), KEPT_MS)).rejects.toMatchObject(exceeded);
      await free();
      expect(await few.put(run(i === 0 ? 'c' : `e${i}`), i === 0 ? other : receiver('a'), KEPT_MS)).toBe(true);
    }
    // The run had two.
    expect(await few.put(run('d'), receiver('a'), KEPT_MS)).toBe(true);
    await expect(few.put(run('f'), receiver('a'), KEPT_MS)).rejects.toMatchObject(exceeded);
  });

  it('is not of those that have expired', async () => {
    await fill(3_000);
    await expect(few.put(run('c'), receiver('a'), KEPT_MS)).rejects.toMatchObject(exceeded);
    await sleep(3_100);
    expect(await few.put(run('c'), receiver('a'), KEPT_MS)).toBe(true);
    expect(await few.list(run('a'))).toEqual([]);
    await fill().catch(() => undefined);
    await expect(few.put(run('d'), receiver('a'), KEPT_MS)).rejects.toMatchObject(exceeded);
  });

  it('counts one as long as the last one of its run keeps it', async () => {
    await few.put(run('a'), receiver('a'), 3_000);
    await few.put(run('a'), receiver('b'), KEPT_MS);
    await few.put(run('b'), receiver('a'), KEPT_MS);
    await sleep(3_100);
    expect(await few.list(run('a'))).toHaveLength(2);
    await expect(few.put(run('c'), receiver('a'), KEPT_MS)).rejects.toMatchObject(exceeded);
  });
});

describe('the limit of a run', () => {
  const fill = async (of: ReturnType<typeof newRun>, owner: string | undefined, most: number) => {
    for (let i = 0; i < most; i++) await store.put(of, receiver(`r${i}`, { owner }), KEPT_MS);
  };

  it('is eight for each owner: one takes no place from another', async () => {
    const of = newRun();
    await fill(of, 'key:ada', 8);
    await expect(store.put(of, receiver('r8'), KEPT_MS)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('8 subscriptions of yours'),
    });
    // Names that begin alike, and a caller without one, are others.
    await fill(of, 'key:ada2', 8);
    await fill(of, 'key:a', 8);
    await fill(of, undefined, 8);
    await expect(store.put(of, receiver('r8', { owner: undefined }), KEPT_MS)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    expect(await store.list(of)).toHaveLength(32);
    // One that is there may be replaced.
    expect(await store.put(of, receiver('r7', { url: 'https://b.test/' }), KEPT_MS)).toBe(false);
  });

  it('is 64 of all owners together', async () => {
    const of = newRun();
    for (let i = 0; i < 8; i++) await fill(of, `user:${i}`, 8);
    await expect(store.put(of, receiver('one'), KEPT_MS)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('has 64 subscriptions, which are the most'),
    });
    await store.remove(of, { id: 'r0', owner: 'user:0' });
    expect(await store.put(of, receiver('one'), KEPT_MS)).toBe(true);
  });
});
