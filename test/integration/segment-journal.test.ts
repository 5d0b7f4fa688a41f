import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  guardedKey,
  HeldError,
  revokeRecord,
  SegmentJournal,
  SupersededError,
  segmentKey,
} from '../../stores/journal/index.js';
import { connected } from '../../stores/redis/index.js';
import { fastJournals } from '../support/fast-journals.js';
import { losingReply } from '../support/lost-replies.js';
import { until } from '../support/runs.js';
import { testRedis } from '../support/test-worker.js';

const TTL_MS = 60_000;
let redis: Redis;
beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 30_000);
});
afterAll(() => redis.disconnect());

const opener = () => {
  const key = segmentKey(`journal-test-${randomUUID()}`, 'execution', 'first');
  return { open: async () => (await SegmentJournal.open(redis, key, { ttlMs: TTL_MS })).journal, key };
};

describe('the journal of a segment', () => {
  it('has its run as the hash tag of its key: all keys of a run are on one node of a cluster', () => {
    expect(segmentKey('ask-1', 'e', 'chunks[3]/first')).toBe('millrace:{ask-1}:journal:e:chunks[3]/first');
    expect(guardedKey('ask-1', 'g')).toMatch(/^millrace:\{ask-1\}:/);
  });

  it('counts no loss of a worker that takes its own segment over again', async () => {
    const { open, key } = opener();
    await (await open()).begin('a');
    const own = new Map<string, Set<string>>();
    const byOne = async () => (await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, own })).journal;
    const stalled = await byOne();
    expect(stalled.losses('a'), 'the first worker is lost').toBe(1);
    await stalled.begin('a');
    const again = await byOne();
    expect(again.losses('a')).toBe(1);
    await again.begin('a');
    // What is left of the stalled attempt reports nothing: nobody has counted it.
    await stalled.end('b', {});
    expect((await open()).losses('a')).toBe(2);
    await Promise.all([stalled.settled(), again.settled()]);
    expect(own.size).toBe(0);
  });

  it('is written again after a loss as the latest attempt has it, whichever writes first', async () => {
    const { key } = opener();
    const openAt = async (askedAt: number) =>
      (await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt })).journal;
    const one = await openAt(1_000);
    await one.begin('first');
    await one.end('first', { n: 1 });
    const two = await openAt(2_000);
    await two.begin('second');
    await two.end('second', { n: 2 });
    for (const attempts of [
      [one, two],
      [two, one],
    ]) {
      await redis.del(key);
      for (const each of attempts) await each.writeAgain();
      await expect(openAt(1_500)).rejects.toBeInstanceOf(SupersededError);
    }
    const three = await openAt(2_000);
    expect([three.ended('first'), three.ended('second')]).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('is written again as the later of two that were scheduled at once has it: a worker that replays a task asks as it did', async () => {
    const { key } = opener();
    const openAgain = async () => (await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt: 1_000 })).journal;
    const one = await openAgain();
    await one.begin('first');
    await one.end('first', { n: 1 });
    const two = await openAgain();
    await two.begin('second');
    await two.end('second', { n: 2 });
    await redis.del(key);
    for (const each of [one, two, one]) await each.writeAgain();
    expect((await openAgain()).ended('second')).toEqual({ n: 2 });
    // One that has found none there is later than all of them.
    await redis.del(key);
    const three = await openAgain();
    await three.begin('third');
    await three.end('third', { n: 3 });
    for (const each of [one, two]) await each.writeAgain();
    expect((await openAgain()).ended('third')).toEqual({ n: 3 });
    // One of an earlier release does not say when it took it.
    await redis.del(key);
    const four = await openAgain();
    await redis.hdel(key, '@takes');
    await four.begin('fourth');
    await four.end('fourth', { n: 4 });
    for (const each of [one, three]) await each.writeAgain();
    expect((await openAgain()).ended('fourth')).toEqual({ n: 4 });
  });

  it('is written again while its calls run: their ends are recorded, and none begins', async () => {
    const { open, key } = opener();
    const one = await open();
    await one.begin('first');
    await one.end('first', { n: 1 });
    await one.begin('second');
    await redis.del(key);
    expect(await one.writeAgain()).toBe(true);
    await expect(one.begin('third')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    await one.end('second', { n: 2 });
    const two = await open();
    expect([two.ended('first'), two.ended('second')]).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('goes on as before where nothing of it was lost', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    expect(await one.writeAgain()).toBe(true);
    expect(await one.begin('second')).toBe(1);
    const two = await open();
    expect(await one.writeAgain()).toBe(true);
    expect(await two.begin('third')).toBe(1);
  });

  it('that is missing, and waited for by one worker, is waited for by another one that knows of no loss', async () => {
    const { key } = opener();
    const open = (untaken: boolean) => SegmentJournal.open(redis, key, { ttlMs: TTL_MS, leaseMs: 30_000, untaken });
    await expect(open(false)).rejects.toBeInstanceOf(HeldError);
    await expect(open(true)).rejects.toBeInstanceOf(HeldError);
  });

  it('gives a worker that takes over what has ended, and counts attempts over both', async () => {
    const { open, key } = opener();
    const one = await open();
    expect(await one.begin('first')).toBe(1);
    await one.end('first', { n: 1 });
    expect(await one.begin('second', 5_000)).toBe(1);
    const other = await open();
    expect(other.ended('first')).toEqual({ n: 1 });
    expect(other.ended('second')).toBeUndefined();
    expect(await other.begin('second')).toBe(2);
    expect(Math.abs((other.leftMs('second') ?? 0) - (one.leftMs('second') ?? 0))).toBeLessThan(1_000);
    expect(await redis.pttl(key)).toBeGreaterThan(TTL_MS / 2);
  });

  it('tells what is left of the time of a segment and its calls by the clock of Redis: that of a worker may be wrong', async () => {
    const { key } = opener();
    const openWith = async (leftMs: number) =>
      (await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, leftMs })).journal;
    const one = await openWith(50_000);
    await one.begin('first', 20_000);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      // By its own clock no time is left.
      const two = await openWith(-3_550_000);
      expect(two.leftMs()).toBeGreaterThan(45_000);
      expect(two.leftMs('first')).toBeGreaterThan(15_000);
      expect(two.leftMs('first')).toBeLessThanOrEqual(20_001);
      await two.begin('first', 1);
    } finally {
      vi.useRealTimers();
    }
    const three = await openWith(50_000);
    expect(three.leftMs()).toBeLessThanOrEqual(50_001);
    expect(three.leftMs('first')).toBeGreaterThan(15_000);
    // A worker of an earlier release records it by its own clock only.
    await redis.hdel(key, '@end:first');
    expect((await openWith(1)).leftMs('first')).toBeGreaterThan(15_000);
  });

  it('lets a worker that has lost it begin nothing more', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    await open();
    await expect(one.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  });

  it('tells a call that has waited whether another worker has taken it over, and nothing else', async () => {
    const { open, key } = opener();
    const one = await open();
    await one.begin('first');
    await expect(one.held()).resolves.toBeUndefined();
    expect(await one.begin('second')).toBe(1);
    // Whoever takes it over writes to it: while it is gone nobody has.
    const dump = await redis.dumpBuffer(key);
    await redis.del(key);
    await expect(one.held()).resolves.toBeUndefined();
    await redis.restore(key, TTL_MS, dump as Buffer);
    await open();
    await expect(one.held()).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  });

  it('does not take the result of a worker that has lost it: the new one may have begun the same', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    const other = await open();
    await one.end('first', { by: 'one' });
    expect(one.ended('first')).toEqual({ by: 'one' });
    await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    await other.end('first', { by: 'other' });
    expect((await open()).ended('first')).toEqual({ by: 'other' });
  });

  it('begins nothing when the record is gone, and creates none: another may have had it', async () => {
    const { open, key } = opener();
    const one = await open();
    await redis.del(key);
    await expect(one.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await redis.exists(key)).toBe(0);
  });

  it('begins nothing, and says that it is not whole, when Redis has lost its last writes', async () => {
    const { open, key } = opener();
    const one = await open();
    await one.begin('first');
    const dump = await redis.dumpBuffer(key);
    await one.end('first', { n: 1 });
    // As a replica that takes over without the last second.
    await redis.restore(key, TTL_MS, dump as Buffer, 'REPLACE');
    await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await one.settled()).toBe(false);
    expect(one.ended('first')).toEqual({ n: 1 });
  });

  it('counts the workers that were lost in a call, in a row', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    const two = await open();
    expect(two.losses('first')).toBe(1);
    await two.begin('first');
    // Not while the call ran: nobody else has begun it.
    await open();
    expect((await open()).losses('first')).toBe(2);
  });

  it('counts no worker that was only slow: it reports that it is alive once it learns of the takeover', async () => {
    const { open, key } = opener();
    const one = await open();
    await one.begin('first');
    const two = await open();
    await two.begin('first');
    await one.end('first', { late: true });
    await until('the first one has reported', async () => (await redis.hget(key, '!first')) === '1');
    const three = await open();
    expect(three.losses('first')).toBe(1);
    await three.begin('first');
    two.left('first');
    await until('the second one has reported', async () => (await redis.hget(key, '!first')) === '2');
    const four = await open();
    // The third one has neither ended its call nor reported.
    expect(four.losses('first')).toBe(1);
    await four.begin('first');
    await four.end('first', { n: 1 });
    expect(await redis.hkeys(key)).not.toContain('!first');
    // The call has ended elsewhere: there is nothing left to report for.
    await three.end('first', { late: true });
    await sleep(100);
    expect(await redis.hkeys(key)).not.toContain('!first');
  });

  it('hears from a worker that was only slow also where the first that it writes is that its call rests', async () => {
    const { open, key } = opener();
    const one = await open();
    await one.begin('first');
    const two = await open();
    await two.begin('first');
    one.rest('first');
    await until('the first one has reported', async () => (await redis.hget(key, '!first')) === '1');
    expect((await open()).losses('first')).toBe(1);
  });

  it('takes an attempt back that has made no call: a worker that takes over does not count it', async () => {
    const { open } = opener();
    const one = await open();
    for (let wait = 0; wait < 3; wait++) {
      expect(await one.begin('first')).toBe(1);
      one.left('first', false);
    }
    expect(await one.begin('first')).toBe(1);
    one.left('first');
    expect(await one.begin('first')).toBe(2);
    one.left('first', false);
    await one.settled();
    const other = await open();
    expect([other.begun('first'), other.losses('first')]).toEqual([1, 0]);
    expect(await other.begin('first')).toBe(2);
  });

  it('counts neither a loss nor an attempt of a call that rests when its worker is lost', async () => {
    const { open } = opener();
    let worker = await open();
    for (let lost = 0; lost < 3; lost++) {
      expect(await worker.begin('first')).toBe(1);
      worker.rest('first');
      await worker.settled();
      worker = await open();
      expect([worker.begun('first'), worker.losses('first')]).toEqual([0, 0]);
    }
    expect(await worker.begin('first')).toBe(1);
    worker.rest('first');
    await worker.goOn('first');
    const second = await open();
    expect([second.begun('first'), second.losses('first')]).toEqual([1, 1]);
    // The loss before its rest counts further on.
    await second.begin('first');
    second.rest('first');
    await second.settled();
    const third = await open();
    expect([third.begun('first'), third.losses('first')]).toEqual([1, 1]);
    await third.begin('first');
    expect((await open()).losses('first')).toBe(2);
  });

  it('lets a call that has rested send nothing more if another worker has taken the journal over', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    one.rest('first');
    await one.settled();
    const other = await open();
    await other.begin('first');
    await expect(one.goOn('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    // It was not lost in the call, and reports nothing of it.
    expect((await open()).losses('first')).toBe(1);
  });

  it('counts no loss in a call whose attempt has ended, with a result or without, and begins anew after one', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    await one.begin('second');
    await one.end('first', { n: 1 });
    one.left('second');
    await one.settled();
    const two = await open();
    expect([two.losses('first'), two.losses('second')]).toEqual([0, 0]);
    await two.begin('second');
    const three = await open();
    expect(three.losses('second')).toBe(1);
    await three.begin('second');
    three.left('second');
    await three.begin('second');
    expect((await open()).losses('second')).toBe(1);
  });
});

describe('the journal of a fast host', () => {
  const { host, begun } = fastJournals(() => redis, TTL_MS);

  it('is not taken from an owner that was asked later: its workflow task has come in the place of the other', async () => {
    const { key } = host();
    const openAt = async (askedAt: number) =>
      (await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt })).journal;
    const one = await openAt(1_000);
    const two = await openAt(2_000);
    await two.begin('first');
    await expect(openAt(1_500)).rejects.toBeInstanceOf(SupersededError);
    await two.end('first', { n: 1 });
    await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    // A worker that replays the task asks as it did.
    expect((await openAt(2_000)).ended('first')).toEqual({ n: 1 });
  });

  it('is not taken over while the lease holds, and is when it has run out, which is told', async () => {
    const long = host();
    const holder = long.begin();
    await holder.begin('first');
    await expect(long.open()).rejects.toBeInstanceOf(HeldError);
    expect(await holder.renew()).toBe('held');
    const { one, take } = await begun(1_500);
    await one.end('first', { n: 1 });
    expect(await one.renew()).toBe('held');
    await sleep(1_700);
    const { journal: other, ranOut } = await take();
    expect(ranOut).toBe(true);
    expect(other.ended('first')).toEqual({ n: 1 });
    expect(other.begun('first')).toBe(1);
    expect(await one.renew()).toBe('taken');
    await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect((await take()).ranOut).toBe(false);
  });

  it('has a lease that has run out also for who asks again, the reply having been lost', async () => {
    const { one, key } = await begun(1_500);
    await one.end('first', { n: 1 });
    await sleep(1_700);
    const open = (by: Redis) => SegmentJournal.open(by, key, { ttlMs: TTL_MS, leaseMs: 1_500 });
    await expect(open(losingReply(redis))).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    // That of the lease's removal is lost too: the lease is gone, and nobody else would tell of it.
    expect((await open(losingReply(redis, 2))).ranOut).toBe(true);
    expect((await open(redis)).ranOut).toBe(false);
  });

  it('is free when the fast host has ended', async () => {
    const { begin, take } = host();
    const one = begin();
    await one.begin('first');
    await one.end('first', { n: 1 });
    expect(await one.release()).toEqual({ receivers: 0 });
    const { journal, ranOut } = await take();
    expect(ranOut).toBe(false);
    expect(journal.ended('first')).toEqual({ n: 1 });
  });

  it('is begun once: a second one, and one after the guardian, begin nothing', async () => {
    const { begin, open } = host();
    const one = begin();
    expect(await one.begin('first')).toBe(1);
    await expect(begin().begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await one.begin('first')).toBe(2);
    const late = host();
    await late.take(true);
    await expect(late.begin().begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    await one.release();
    await open();
  });

  it('tells nothing when it is another’s', async () => {
    const { begin, open } = host(1);
    const one = begin();
    await one.begin('first').catch(() => undefined);
    await until('the lease has run out', () =>
      open().then(
        () => true,
        (error: unknown) => {
          if (error instanceof HeldError) return false;
          throw error;
        },
      ),
    );
    const listener = testRedis();
    await connected(listener, 30_000);
    const channel = `journal-test-${randomUUID()}`;
    const received: string[] = [];
    listener.on('message', (_channel: string, message: string) => received.push(message));
    await listener.subscribe(channel);
    expect(await one.release({ channel, message: 'mine' })).toBe('taken');
    await redis.publish(channel, 'end');
    await until('all is heard', () => received.includes('end'));
    listener.disconnect();
    expect(received).toEqual(['end']);
  });

  it('begins nothing once its own clock says that the lease may have run out, though nobody has taken it', async () => {
    const { one } = await begun(1_000);
    await sleep(1_100);
    await expect(one.begin('second')).rejects.toThrow('may have run out');
  });

  it('is taken at once where nobody has begun it', async () => {
    expect((await host().take(true)).ranOut).toBe(false);
  });

  it('is not waited for longer than a lease when Redis’ clock goes back', async () => {
    const { key, take } = await begun(1_000);
    await redis.hset(key, '@lease', String(Date.now() + 3_600_000));
    await expect(take()).rejects.toBeInstanceOf(HeldError);
    await sleep(1_200);
    expect((await take()).ranOut).toBe(true);
  });

  it('that is revoked begins nothing, before or after, and keeps what has ended', async () => {
    const before = host();
    await revokeRecord(redis, before.key);
    await expect(before.begin().begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await redis.pttl(before.key)).toBeGreaterThan(60_000);
    const [after, short] = [await begun(60_000), await begun(1_500)];
    for (const { one, key } of [after, short]) {
      await one.end('first', { n: 1 });
      await revokeRecord(redis, key);
      expect(await one.renew()).toBe('revoked');
      await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
      expect(await one.release()).toBe('revoked');
    }
    // The run had started after all.
    await expect(after.take()).rejects.toBeInstanceOf(HeldError);
    await sleep(1_700);
    expect((await short.take()).journal.ended('first')).toEqual({ n: 1 });
  });
});
