import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connected } from '../../activities/cache/index.js';
import { HeldError, SegmentJournal } from '../../activities/journal/index.js';
import { until } from '../support/runs.js';
import { testRedis } from '../support/test-worker.js';

const TTL_MS = 60_000;
let redis: Redis;
beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 5_000);
});
afterAll(() => redis.disconnect());

const opener = () => {
  const run = `journal-test-${randomUUID()}`;
  return {
    open: () => SegmentJournal.open(redis, run, 'first', TTL_MS),
    key: `millrace:journal:${run}:first`,
  };
};

describe('the journal of a segment', () => {
  it('gives a worker that takes over what has ended, and counts attempts over both', async () => {
    const { open, key } = opener();
    const one = await open();
    expect(await one.begin('first')).toBe(1);
    await one.end('first', { n: 1 });
    expect(await one.begin('second')).toBe(1);
    const other = await open();
    expect(other.ended('first')).toEqual({ n: 1 });
    expect(other.ended('second')).toBeUndefined();
    expect(await other.begin('second')).toBe(2);
    expect(await redis.pttl(key)).toBeGreaterThan(TTL_MS / 2);
  });

  it('lets a worker that has lost it begin nothing more', async () => {
    const { open } = opener();
    const one = await open();
    await one.begin('first');
    await open();
    await expect(one.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
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

  it('begins nothing when the record is gone', async () => {
    const { open, key } = opener();
    const one = await open();
    await redis.del(key);
    await expect(one.begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  });
});

describe('the journal of a fast host', () => {
  const host = (leaseMs = 60_000) => {
    const run = `journal-test-${randomUUID()}`;
    return {
      begin: () => SegmentJournal.begin(redis, run, 'all', TTL_MS, leaseMs),
      open: () => SegmentJournal.open(redis, run, 'all', TTL_MS),
    };
  };

  it('is not taken over while the lease holds, and is when it has run out', async () => {
    const { begin, open } = host(400);
    const one = begin();
    await one.begin('first');
    await one.end('first', { n: 1 });
    await expect(open()).rejects.toBeInstanceOf(HeldError);
    expect(await one.renew(400)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const other = await open();
    expect(other.ended('first')).toEqual({ n: 1 });
    expect(other.begun('first')).toBe(1);
    expect(await one.renew(400)).toBe(false);
    await expect(one.begin('second')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
  });

  it('is free when the fast host has ended', async () => {
    const { begin, open } = host();
    const one = begin();
    await one.begin('first');
    await one.end('first', { n: 1 });
    await one.release();
    expect((await open()).ended('first')).toEqual({ n: 1 });
  });

  it('is begun once: a second one, and one after the guardian, begin nothing', async () => {
    const { begin, open } = host();
    const one = begin();
    expect(await one.begin('first')).toBe(1);
    await expect(begin().begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    expect(await one.begin('first')).toBe(2);
    const late = host();
    await late.open();
    await expect(late.begin().begin('first')).rejects.toMatchObject({ code: 'JOURNAL_UNAVAILABLE' });
    await one.release();
    await open();
  });

  it('tells nothing when it is another’s', async () => {
    const { begin, open } = host(1);
    const one = begin();
    await one.begin('first');
    await new Promise((resolve) => setTimeout(resolve, 20));
    await open();
    const listener = testRedis();
    await connected(listener, 5_000);
    const channel = `journal-test-${randomUUID()}`;
    const heard: string[] = [];
    listener.on('message', (_channel: string, message: string) => heard.push(message));
    await listener.subscribe(channel);
    await one.release({ channel, message: 'mine' });
    await redis.publish(channel, 'end');
    await until('all is heard', () => heard.includes('end'));
    listener.disconnect();
    expect(heard).toEqual(['end']);
  });
});
