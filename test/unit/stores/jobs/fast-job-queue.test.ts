import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { FastJobQueue } from '../../../../stores/jobs/index.js';
import { scripted } from '../../../support/scripted.js';

const jobOf = (id: string): string => JSON.stringify({ id, segment: {}, at: Date.now() });

/** A connection to a store with jobs, the last one first. */
function connection() {
  const list: string[] = [];
  const digests = async () => list.map((text) => createHash('sha1').update(text).digest('hex'));
  const redis = Object.assign(new EventEmitter(), scripted(digests), {
    async bzpopmin() {
      const text = list.pop();
      return text === undefined ? null : ['jobs', text, '1'];
    },
  });
  const queue = new FastJobQueue(redis as unknown as Redis, 'q');
  const take = async () => {
    const job = await queue.take();
    return job && [job.id, job.again === true];
  };
  return { list, take, reconnects: () => redis.emit('ready') };
}

it('a job that the store has again after a failover is known to have been taken', async () => {
  const { list, take, reconnects } = connection();
  expect(await take()).toBeUndefined();
  const job = jobOf('a');
  list.unshift(job);
  expect(await take()).toEqual(['a', false]);
  // The store that has taken over lacks the last second: the job lies in the queue again.
  list.unshift(job);
  reconnects();
  expect(await take()).toEqual(['a', true]);
  list.unshift(jobOf('b'));
  expect(await take()).toEqual(['b', false]);
});

it('jobs that lay in the queue before a worker connected count as taken, those behind them do not', async () => {
  const { list, take } = connection();
  list.unshift(jobOf('a'));
  list.unshift(jobOf('b'));
  expect(await take()).toEqual(['a', true]);
  list.unshift(jobOf('c'));
  expect(await take()).toEqual(['b', true]);
  expect(await take()).toEqual(['c', false]);
});
