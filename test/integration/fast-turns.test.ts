import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Segment } from '../../pipelines/run/index.js';
import { type FastJob, FastJobQueue, FastJobs } from '../../stores/jobs/index.js';
import { connected } from '../../stores/redis/index.js';
import { testRedis } from '../support/test-worker.js';

/** The queue of the fast path in a real Redis: what the scripts do to it. */

let redis: Redis;
let blocking: Redis;
beforeAll(async () => {
  [redis, blocking] = [testRedis(), testRedis(undefined, 2 * FastJobQueue.WAIT_MS)];
  for (const each of [redis, blocking]) await connected(each, 60_000);
});
afterAll(() => {
  redis.disconnect();
  blocking.disconnect();
});

/** A queue of its own: puts jobs, takes them back, and takes all of them, by the names of their tenants. */
function queued() {
  const name = `fast-turns-${randomUUID()}`;
  const jobs = new FastJobs(redis, name);
  const queue = new FastJobQueue(blocking, name);
  const put = async (tenant: string) => {
    const job: FastJob = { id: randomUUID(), at: Date.now(), segment: { context: { tenant } } as Segment };
    const lies = (await jobs.put(job)) ?? '';
    return () => jobs.takeBack(job, lies);
  };
  return {
    keys: [`millrace:fast:{${name}}`, `millrace:fast:{${name}}:turns`],
    put,
    puts: (tenant: string, count: number) => Promise.all(Array.from({ length: count }, () => put(tenant))),
    async take(count: number): Promise<string[]> {
      const tenants: string[] = [];
      while (tenants.length < count) tenants.push((await queue.take())?.segment.context.tenant ?? 'nobody');
      return tenants;
    },
  };
}

describe('jobs of the fast path', () => {
  it('are taken in turns by tenant: 200 of one do not hold up that of another', async () => {
    const { puts, put, take } = queued();
    await puts('greedy', 200);
    await put('modest');
    expect(await take(2)).toContain('modest');
    await put('modest');
    expect(await take(2)).toContain('modest');
  });

  it('of several tenants have a round for each', async () => {
    const { puts, take } = queued();
    await puts('a', 3);
    await puts('b', 2);
    await puts('c', 1);
    const tenants = await take(6);
    expect(tenants.slice(0, 3).sort()).toEqual(['a', 'b', 'c']);
    expect(tenants.slice(3, 5).sort()).toEqual(['a', 'b']);
    expect(tenants[5]).toBe('a');
  });

  it('that are taken back have had no turn', async () => {
    const { puts, put, take } = queued();
    const greedy = await puts('greedy', 50);
    await puts('other', 3);
    expect(await Promise.all(greedy.map((back) => back()))).toEqual(greedy.map(() => true));
    await put('greedy');
    expect(await take(2)).toContain('greedy');
    const [back] = await puts('greedy', 1);
    await take(3);
    expect(await back?.()).toBe(false);
  });

  it('leave nothing behind: an empty queue forgets the turns, and what nobody takes expires', async () => {
    const { keys, puts, put, take } = queued();
    const [jobs = '', turns = ''] = keys;
    await puts('greedy', 20);
    expect(await redis.hgetall(turns)).toEqual({ greedy: '20' });
    await take(20);
    await put('modest');
    expect(await redis.hgetall(turns)).toEqual({ modest: '1' });
    for (const key of [jobs, turns]) expect(await redis.pttl(key)).toBeGreaterThan(0);
  });
});
