import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StageCall } from '../../pipelines/run/index.js';
import { momentAgo } from '../../runtime/moment.js';
import { type ChannelName, ChannelWriter, RedisChannelLog } from '../../stores/channels/index.js';
import { RunErasure } from '../../stores/erasure/index.js';
import { RunEventLog, RunEventReader } from '../../stores/events/index.js';
import {
  guardedKey,
  isReleased,
  releaseRecord,
  revokeRecord,
  SegmentJournal,
  SupersededError,
  segmentKey,
} from '../../stores/journal/index.js';
import { RedisRecords, recordKey } from '../../stores/records/index.js';
import { connected, ERASED_MS, erasableKey, erasedKey } from '../../stores/redis/index.js';
import { testRedis } from '../support/test-worker.js';

const TTL_MS = 60_000;
const LEASED = { ttlMs: TTL_MS, leaseMs: TTL_MS };
/** What nobody may find after the erasure. */
const SECRET = 'the caller’s name';
let redis: Redis;
let subscriber: Redis;
let erasure: RunErasure;
beforeAll(async () => {
  redis = testRedis();
  subscriber = testRedis();
  await Promise.all([connected(redis, 30_000), connected(subscriber, 30_000)]);
  erasure = new RunErasure(redis);
});
afterAll(() => {
  redis.disconnect();
  subscriber.disconnect();
});

/** The store's clock counts milliseconds. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 20));

const newRun = () => `erased-${randomUUID()}`;

/** Everything that the store has of a run. */
async function left(run: string): Promise<string> {
  const found: string[] = [];
  for (const key of await redis.keys(`*{${run}}*`)) {
    const type = await redis.type(key);
    if (type === 'hash') found.push(key, JSON.stringify(await redis.hgetall(key)));
    else if (type === 'list') found.push(key, ...(await redis.lrange(key, 0, -1)));
    else if (type === 'stream') found.push(key, JSON.stringify(await redis.xrange(key, '-', '+')));
    else if (type === 'zset') found.push(key, ...(await redis.zrange(key, 0, '-1')));
    else found.push(key, (await redis.get(key)) ?? '');
  }
  return found.join('\n');
}

describe('the journal of a segment of an erased run', () => {
  it('is gone, and its worker, which goes on, begins nothing more and records nothing', async () => {
    const run = newRun();
    const key = segmentKey(run, 'execution', 'first');
    const { journal } = await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt: 1_000 });
    await journal.begin('first');
    await journal.end('first', { text: SECRET });
    await journal.begin('second');
    expect(await left(run)).toContain(SECRET);
    await erasure.erase(run);
    await journal.end('second', { text: SECRET });
    await expect(journal.begin('third')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    await journal.writeAgain();
    expect(await left(run)).not.toContain(SECRET);
    const ttl = await redis.pttl(key);
    expect(ttl).toBeGreaterThan(ERASED_MS - 60_000);
    expect(ttl).toBeLessThanOrEqual(ERASED_MS);
  });

  it('is not taken by an attempt that comes late: it would begin everything again', async () => {
    const run = newRun();
    const [plain, guarded] = [segmentKey(run, 'execution', 'first'), guardedKey(run, 'guard')];
    for (const key of [plain, guarded]) await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt: 1_000 });
    await erasure.erase(run);
    for (const key of [plain, guarded]) {
      const late = SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt: Date.now() });
      await expect(late).rejects.toBeInstanceOf(SupersededError);
    }
    const host = SegmentJournal.begin(redis, guarded, LEASED);
    await expect(host.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  });

  it('is erased too if it is opened meanwhile', async () => {
    const run = newRun();
    const open = (path: string) =>
      SegmentJournal.open(redis, segmentKey(run, 'execution', path), { ttlMs: TTL_MS, askedAt: 1_000 });
    await open('first');
    let looks = 0;
    const slow = Object.assign(Object.create(redis) as Redis, {
      zrange: async (...asked: [key: string, from: number, to: string]) => {
        const keys = await redis.zrange(...asked);
        looks += 1;
        // As by a worker that does not say when its segment began.
        await aMoment();
        if (looks === 1) await open('second');
        return keys;
      },
    });
    await new RunErasure(slow as Redis).erase(run);
    await expect(open('second')).rejects.toBeInstanceOf(SupersededError);
    expect(await redis.exists(erasableKey(run))).toBe(0);
  });

  it('is erased, and the erasure is to be asked for again, if the store has no room to note it', async () => {
    const run = newRun();
    const key = segmentKey(run, 'execution', 'first');
    await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt: 1_000 });
    // The first key of a script comes after its text and the number of keys.
    const full = Object.assign(Object.create(redis) as Redis, {
      sendCommand: (command: Parameters<Redis['sendCommand']>[0]) =>
        command.args[2] === erasedKey(run) ? Promise.reject(new Error('OOM')) : redis.sendCommand(command),
    });
    const erased = new RunErasure(full as Redis).erase(run);
    await expect(erased).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(await redis.exists(erasableKey(run))).toBe(0);
    expect(await redis.hget(key, '@owner')).toBe('-');
  });

  it('leaves nothing if it has expired', async () => {
    const run = newRun();
    const key = segmentKey(run, 'execution', 'first');
    await SegmentJournal.open(redis, key, { ttlMs: TTL_MS, askedAt: 1_000 });
    await redis.del(key);
    await erasure.erase(run);
    // Beside when it was erased.
    await redis.del(erasedKey(run));
    expect(await left(run)).toBe('');
  });

  it('is not restored by a fast host under its lease', async () => {
    const run = newRun();
    const journal = SegmentJournal.begin(redis, guardedKey(run, 'guard'), LEASED);
    await journal.begin('first');
    await journal.end('first', { text: SECRET });
    await erasure.erase(run);
    expect(await journal.renew()).toBe('revoked');
    expect(await journal.release()).toBe('revoked');
    expect(await left(run)).not.toContain(SECRET);
  });

  it('leaves nothing for longer than itself, once its outcome is in Temporal', async () => {
    const run = newRun();
    const key = guardedKey(run, 'guard');
    SegmentJournal.begin(redis, key, { ...LEASED, ttlMs: 3_600_000 });
    await releaseRecord(redis, key);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(120_000);
    expect(await redis.pttl(erasableKey(run))).toBeLessThanOrEqual(120_000);
    expect(await isReleased(redis, key)).toBe(true);
  });

  it('is not opened by a segment that began before, and is by one of another run under the same id', async () => {
    const run = newRun();
    const [plain, guarded] = [segmentKey(run, 'execution', 'first'), guardedKey(run, 'guard')];
    const begunAt = momentAgo(60_000);
    await aMoment();
    await erasure.erase(run);
    await aMoment();
    for (const key of [plain, guarded]) {
      const late = SegmentJournal.open(redis, key, { ttlMs: TTL_MS, leaseMs: TTL_MS, askedAt: Date.now(), begunAt });
      await expect(late).rejects.toBeInstanceOf(SupersededError);
    }
    const host = SegmentJournal.begin(redis, guarded, { ...LEASED, begunAt });
    await expect(host.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await redis.exists(plain, guarded)).toBe(0);
    const anew = SegmentJournal.begin(redis, guarded, LEASED);
    expect(await anew.begin('first')).toBe(1);
    await SegmentJournal.open(redis, plain, { ttlMs: TTL_MS, askedAt: Date.now() });
    expect(await redis.exists(plain, guarded)).toBe(2);
  });

  it('is not opened by one whose machine was suspended since, and counts less time', async () => {
    const run = newRun();
    await erasure.erase(run);
    await aMoment();
    const begunAt = { ...momentAgo(), wallMs: Date.now() - 60_000 };
    const asked = { ttlMs: TTL_MS, askedAt: Date.now(), begunAt };
    const late = SegmentJournal.open(redis, segmentKey(run, 'execution', 'first'), asked);
    await expect(late).rejects.toBeInstanceOf(SupersededError);
  });

  it('is not written again if the store had lost it before the erasure', async () => {
    const run = newRun();
    const plain = segmentKey(run, 'execution', 'first');
    const begunAt = momentAgo(60_000);
    const { journal } = await SegmentJournal.open(redis, plain, { ttlMs: TTL_MS, askedAt: 1_000, begunAt });
    const host = SegmentJournal.begin(redis, guardedKey(run, 'guard'), { ...LEASED, begunAt });
    for (const each of [journal, host]) {
      await each.begin('first');
      await each.end('first', { text: SECRET });
    }
    await redis.del(plain, guardedKey(run, 'guard'), erasableKey(run));
    await erasure.erase(run);
    expect(await journal.writeAgain()).toBe(true);
    expect(await host.renew()).toBe('revoked');
    expect(await left(run)).not.toContain(SECRET);
  });

  it('stays erased for six hours if the outcome of its fast run is noted afterwards, or it is revoked', async () => {
    const run = newRun();
    const key = guardedKey(run, 'guard');
    const journal = SegmentJournal.begin(redis, key, { ...LEASED, ttlMs: 3_600_000 });
    await journal.begin('first');
    expect(await isReleased(redis, key)).toBe(false);
    await erasure.erase(run);
    await releaseRecord(redis, key);
    await journal.keepFor(120_000);
    await revokeRecord(redis, key);
    expect(await redis.pttl(key)).toBeGreaterThan(ERASED_MS - 60_000);
    expect(await redis.exists(erasableKey(run))).toBe(0);
    // Its host has nothing more to keep.
    expect(await isReleased(redis, key)).toBe(true);
  });
});

describe('a channel of an erased run', () => {
  const name = (run: string): ChannelName => ({ run, path: 'items[1]/answer', of: 'sentences' });
  const opened = (run: string, begunAt = momentAgo()) =>
    ChannelWriter.open(new RedisChannelLog(redis, subscriber), name(run), {
      ...{ signal: new AbortController().signal, ttlMs: TTL_MS, begunAt },
    });

  it('is gone, and its writer, which goes on, can add nothing', async () => {
    const run = newRun();
    const writer = await opened(run);
    writer.add(SECRET);
    await writer.settled();
    expect(await left(run)).toContain(SECRET);
    await erasure.erase(run);
    writer.add(SECRET);
    await expect(writer.settled()).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
    expect(await left(run)).not.toContain(SECRET);
  });

  it('is empty for a run that is started under the same id, which had its entries and its outcome before', async () => {
    const run = newRun();
    const before = await opened(run);
    await before.end({ as: 'done', outcome: { text: SECRET } }, SECRET);
    await erasure.erase(run);
    await aMoment();
    const writer = await opened(run);
    expect([writer.before.values, writer.before.end]).toEqual([[], undefined]);
    await writer.end({ as: 'done' }, 'anew');
    expect((await opened(run)).before.values).toEqual(['anew']);
  });

  it('is in the set of its run for as long as it is kept once it is closed', async () => {
    const run = newRun();
    const writer = await opened(run);
    expect(await redis.pttl(erasableKey(run))).toBeGreaterThan(3_600_000);
    await writer.end({ as: 'done' }, 'all');
    const leftMs = await redis.pttl(erasableKey(run));
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(3_600_000);
  });

  it('is gone in all its generations', async () => {
    const run = newRun();
    const first = await opened(run);
    first.add('void');
    const [again] = (await ChannelWriter.startOver([first])) ?? [];
    again?.add(SECRET);
    await again?.settled();
    expect(await left(run)).toContain(SECRET);
    await erasure.erase(run);
    again?.close();
    expect(await left(run)).not.toContain(SECRET);
    await aMoment();
    expect((await opened(run)).before.end).toBeUndefined();
  });

  it('is not opened by an attempt that began before', async () => {
    const run = newRun();
    const begunAt = momentAgo(60_000);
    await aMoment();
    await erasure.erase(run);
    await aMoment();
    await expect(opened(run, begunAt)).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
    expect(await left(run)).not.toContain('answer');
    expect(await redis.pttl(erasedKey(run))).toBeGreaterThan(ERASED_MS - 60_000);
  });

  it('is not stored again if the store had lost it before the erasure', async () => {
    const run = newRun();
    const writer = await opened(run, momentAgo(60_000));
    writer.add(SECRET);
    await writer.settled();
    const keys = await redis.keys(`*{${run}}*`);
    await redis.del(...keys);
    await erasure.erase(run);
    writer.add(SECRET);
    await expect(writer.settled()).rejects.toMatchObject({ code: 'STREAM_TAKEN' });
    expect(await left(run)).not.toContain(SECRET);
  });
});

const call: StageCall = {
  ...{ pipeline: 'test', version: '0123456789ab', tenant: 'default', stage: 'answer', kind: 'chat', model: 'large' },
  ...{ with: {}, retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 }, runMs: TTL_MS },
  events: true,
};

describe('the record of an erased run', () => {
  const records = () => new RedisRecords({ redis, keptMs: TTL_MS });
  const ended = (run: string, tookMs: number) => ({
    ...{ run, call, input: { text: SECRET }, attempt: 1, startedAt: Date.now() - tookMs, endedAt: Date.now() },
    result: {
      outcome: {
        ...{ output: { text: SECRET }, endpoint: 'a', device: '', attempt: 1 },
        ...{ cache: 'off' as const, queueMs: 0, runMs: 5 },
      },
    },
  });

  it('takes nothing of a call that was under way', async () => {
    const run = newRun();
    await records().keep(ended(run, 10));
    expect(await left(run)).toContain(SECRET);
    await records().erase(run);
    await records().keep(ended(run, 5_000));
    await records().keep(ended(`${run}/child`, 5_000));
    expect(await left(run)).not.toContain(SECRET);
    expect(await records().summary(run)).toMatchObject({ absent: true, gaps: 0 });
    expect(await redis.pttl(recordKey(run))).toBeGreaterThan(ERASED_MS - 60_000);
  });

  it('takes nothing of a call whose large values were stored while it was erased', async () => {
    const run = newRun();
    const spill = {
      async put() {
        await records().erase(run);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return 'artifact://default/0';
      },
      get: async () => Buffer.alloc(0),
    };
    // So that it began before the erasure only if the time of storing counts, and by half a second.
    const own = ended(run, 500);
    const outcome = { ...own.result.outcome, output: { text: 'x'.repeat(20_000) } };
    await new RedisRecords({ redis, keptMs: TTL_MS, spill }).keep({ ...own, result: { outcome } });
    expect(await records().summary(run)).toMatchObject({ absent: true });
    const full = new RedisRecords({ redis, keptMs: TTL_MS, room: () => false });
    await full.keep(ended(run, 5_000));
    expect(await records().summary(run)).toMatchObject({ absent: true, gaps: 0 });
  });

  it('takes the calls of a run that is started under the same id', async () => {
    const run = newRun();
    await records().erase(run);
    await aMoment();
    await records().keep(ended(run, 1));
    expect((await records().summary(run)).succeeded).toEqual(new Map([['answer', 1]]));
  });

  it('says that it is erased, and takes no resumption that reads it', async () => {
    const run = newRun();
    await records().keep(ended(run, 10));
    const before = { ended: [], repeat: true };
    expect(await records().summary(run, 5_000)).not.toHaveProperty('erased');
    await records().erase(run);
    expect(await records().summary(run, 5_000)).toMatchObject({ erased: true, absent: true });
    expect(await records().hold(run, before, 1, 5_000)).toBe(false);
    expect(Object.keys(await redis.hgetall(recordKey(run)))).toEqual(['@erased']);
  });

  it('is that of another run for one that is started under the same id, though that has recorded nothing yet', async () => {
    const run = newRun();
    await records().erase(run);
    await aMoment();
    const summary = await records().summary(run, 1);
    expect([summary.erased, summary.absent]).toEqual([undefined, true]);
    expect(await records().hold(run, { ended: [], repeat: false }, 1, 1)).toBe(true);
    expect(await records().before(`${run}-r1`, call, {})).toBeUndefined();
  });
});

describe('the events of an erased run', () => {
  it('have nothing of a call that was under way, and those of another run under the same id', async () => {
    const run = newRun();
    const log = new RunEventLog(redis);
    const reader = new RunEventReader(redis, subscriber);
    const attempt = log.attempt(run, call, 1);
    attempt?.delta(SECRET);
    await attempt?.finished('off', 1);
    expect(await left(run)).toContain(SECRET);
    // It began so long before that a write which reaches the store late still counts as begun before the erasure.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await reader.erase(run);
    attempt?.delta(SECRET);
    await attempt?.finished('off', 1);
    expect(await left(run)).not.toContain(SECRET);
    await aMoment();
    const next = log.attempt(run, call, 1);
    next?.delta('anew');
    await next?.finished('off', 1);
    expect(await left(run)).toContain('anew');
  });
});
