import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Incident } from './incidents.js';

/** Replication lag: what a replica lacks when it takes over. */
const LOST_MS = 1_000;
/** How long the store is full, in milliseconds: longer than leases and waits for the store. */
const FULL_MS = 5_000;
/**
 * Surviving processes restore their state within three quarters of a second; state of a process that dies before that
 * is lost, which no guarantee covers. So no other incident starts during this time.
 */
const RESTORED_MS = 2_000;

/** The store restarts without its data. */
export const flushed = (redis: Redis, mayHappen: () => boolean): Incident => ({
  mayHappen,
  async happen() {
    await redis.flushall();
    await sleep(RESTORED_MS);
  },
});

/** A replica without the last second takes over: all connections end, and the data is that of a second before. */
export const failedOver = (redis: Redis, mayHappen: () => boolean): Incident => ({
  mayHappen,
  async happen() {
    const before = await memoryOf(redis);
    await sleep(LOST_MS);
    const over = redis.multi().flushall();
    for (const { key, left, value } of before) over.restore(key, Math.max(0, left - (left > 0 ? LOST_MS : 0)), value);
    for (const type of ['normal', 'pubsub']) over.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    await over.exec();
    await sleep(RESTORED_MS);
  },
});

/** The store is full until memory is freed. */
export const full = (redis: Redis, mayHappen: () => boolean): Incident => ({
  mayHappen,
  async happen() {
    const [, most = '0'] = (await redis.config('GET', 'maxmemory')) as string[];
    await redis.config('SET', 'maxmemory', '1');
    try {
      await sleep(FULL_MS);
    } finally {
      await redis.config('SET', 'maxmemory', most);
    }
    await sleep(RESTORED_MS);
  },
});

interface Kept {
  readonly key: string;
  /** Time to live in milliseconds; 0: none. */
  readonly left: number;
  readonly value: Buffer;
}

async function memoryOf(redis: Redis): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const key of await redis.keys('*')) {
    const [value, left] = await Promise.all([redis.dumpBuffer(key), redis.pttl(key)]);
    if (value !== null && left !== 0) kept.push({ key, left: Math.max(0, left), value });
  }
  return kept;
}
