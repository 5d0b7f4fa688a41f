import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HeldError } from '../../stores/journal/index.js';
import { connected } from '../../stores/redis/index.js';
import { fastJournals } from '../support/fast-journals.js';
import { testRedis } from '../support/test-worker.js';

const TTL_MS = 60_000;
let redis: Redis;
beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 30_000);
});
afterAll(() => redis.disconnect());

describe('the journal of a fast host, when Redis loses its memory,', () => {
  const { host, begun } = fastJournals(() => redis, TTL_MS);

  it.each(['a renewal', 'a beginning', 'an end', 'a release'])('is restored as a whole by %s', async (by) => {
    const { begin, key, open, take } = host();
    const one = begin();
    await one.begin('first');
    await one.end('first', { n: 1 });
    await one.begin('second');
    await redis.del(key);
    if (by === 'a renewal') expect(await one.renew()).toBe('held');
    if (by === 'a beginning') expect(await one.begin('third')).toBe(1);
    if (by === 'an end') await one.end('second', { n: 2 });
    if (by !== 'a release') await expect(open()).rejects.toBeInstanceOf(HeldError);
    expect(await one.release()).toEqual({ receivers: 0 });
    const { journal, ranOut } = await take();
    expect(ranOut).toBe(false);
    expect(journal.ended('first')).toEqual({ n: 1 });
    expect(journal.begun('second')).toBe(1);
    expect(journal.ended('second')).toEqual(by === 'an end' ? { n: 2 } : undefined);
    expect(journal.begun('third')).toBe(by === 'a beginning' ? 1 : 0);
    expect(journal.losses('second')).toBe(by === 'an end' ? 0 : 1);
    expect(await redis.pttl(key)).toBeGreaterThan(TTL_MS / 2);
  });

  it('is restored where only the last writes are lost, and again when they are lost again', async () => {
    const { begin, key, open } = host();
    const one = begin();
    await one.begin('first');
    const dump = await redis.dumpBuffer(key);
    await one.end('first', { n: 1 });
    for (const call of ['second', 'third']) {
      await redis.restore(key, TTL_MS, dump as Buffer, 'REPLACE');
      expect(await one.begin(call)).toBe(1);
      await one.end(call, { call });
    }
    await redis.del(key);
    expect(await one.renew()).toBe('held');
    await redis.del(key);
    expect(await one.renew()).toBe('held');
    expect(await redis.exists(key)).toBe(1);
    await one.release();
    const taken = await open();
    expect(['first', 'second', 'third'].map((call) => taken.ended(call))).toEqual([
      { n: 1 },
      { call: 'second' },
      { call: 'third' },
    ]);
  });

  it('is restored once by many writes that are under way together', async () => {
    const { begin, key, open } = host();
    const one = begin();
    await one.begin('first');
    await redis.del(key);
    const calls = Array.from({ length: 20 }, (_, i) => `call-${i}`);
    const counts = await Promise.all([...calls.map((call) => one.begin(call)), one.end('first', { n: 1 })]);
    expect(counts.slice(0, -1)).toEqual(calls.map(() => 1));
    await Promise.all(calls.map((call) => one.end(call, { call })));
    await one.release();
    const taken = await open();
    expect(calls.map((call) => taken.ended(call))).toEqual(calls.map((call) => ({ call })));
    expect(taken.ended('first')).toEqual({ n: 1 });
  });

  it('is not taken by the guardian before a fast host that lives has had the time of a lease to restore it', async () => {
    const { begin, key, take } = host();
    const one = begin();
    await one.begin('first');
    await one.end('first', { n: 1 });
    await redis.del(key);
    await expect(take()).rejects.toBeInstanceOf(HeldError);
    expect(await one.renew()).toBe('held');
    await one.release();
    expect((await take()).journal.ended('first')).toEqual({ n: 1 });
  });

  it('is taken when nobody has restored it, and not restored any more then', async () => {
    const { one, key, take } = await begun(1_500);
    await redis.del(key);
    await expect(take()).rejects.toBeInstanceOf(HeldError);
    await sleep(1_700);
    const { journal, ranOut } = await take();
    expect([ranOut, journal.begun('first')]).toEqual([true, 0]);
    expect(await one.renew()).toBe('taken');
    // Gone once more: this one's lease has run out, so that it may not restore what the guardian has had.
    await redis.del(key);
    expect(await one.renew()).toBe('gone');
    expect(await redis.exists(key)).toBe(0);
  });

  it('is not begun by a fast host that was never told that it had begun it', async () => {
    const { begin, key } = host();
    const one = begin();
    await redis.del(key);
    const other = begin();
    await other.begin('first');
    await expect(one.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await other.renew()).toBe('held');
  });
});
