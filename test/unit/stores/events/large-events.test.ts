import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { EventSubscriptions } from '../../../../stores/events/event-subscriptions.js';
import { RunEventReader } from '../../../../stores/events/index.js';

const textOf = (length: number) => JSON.stringify({ type: 'stage.delta', stage: 'a', text: 'x'.repeat(length) });
const subscriber = () => {
  const heard: ((channel: string, message: string) => void)[] = [];
  const redis = {
    on: (name: string, listener: (channel: string, message: string) => void) => {
      if (name === 'message') heard.push(listener);
      return redis;
    },
    subscribe: async () => 1,
    unsubscribe: async () => 1,
  };
  const publish = (channel: string, message: string) => {
    for (const each of heard) each(channel, message);
  };
  return { redis: redis as unknown as Redis, publish };
};

/** A Redis with the entries of one stream, and how many each read asks for. */
function stored(texts: readonly string[]) {
  const counts: number[] = [];
  const redis = {
    xrange: async (_key: string, from: string, _to: string, _count: string, count: number) => {
      counts.push(count);
      const first = Number(from.slice(1).split('-')[0]);
      return texts.slice(first, first + count).map((text, i) => [`${first + i + 1}-0`, ['event', text]]);
    },
  };
  return { reader: new RunEventReader(redis as unknown as Redis, subscriber().redis), counts };
}

async function followed(reader: RunEventReader): Promise<string[]> {
  const texts: string[] = [];
  for await (const { json } of reader.follow('run', undefined, AbortSignal.abort())) texts.push(json);
  return texts;
}

test('of large events few are read ahead of a follower, and all are told', async () => {
  const texts = [...Array<string>(600).fill(textOf(100)), ...Array<string>(60).fill(textOf(16_000))];
  const { reader, counts } = stored(texts);
  expect(await followed(reader)).toEqual(texts);
  // Once it is known how large they are.
  const large = counts.slice(counts.findIndex((count) => count < 64));
  expect(Math.max(...large)).toBeLessThanOrEqual(8);
  expect(counts.length).toBeLessThan(40);
});

test('small events are read by hundreds', async () => {
  const texts = Array<string>(5_000).fill(textOf(20));
  const { reader, counts } = stored(texts);
  expect(await followed(reader)).toEqual(texts);
  expect(counts.length).toBeLessThan(16);
  expect(Math.max(...counts)).toBe(500);
});

test('of published events a follower that does not read holds a limited number of characters', async () => {
  const { redis, publish } = subscriber();
  const subscription = new EventSubscriptions(redis, { entries: 500, characters: 50_000 }).listen('c');
  await subscription.ready();
  publish('c', `1-0 ${textOf(60_000)}`);
  expect(subscription.missed).toBe(false);
  expect(subscription.take()?.id).toBe('1-0');
  for (let i = 2; i < 5; i++) publish('c', `${i}-0 ${textOf(16_000)}`);
  expect([subscription.missed, subscription.take()?.id]).toEqual([false, '2-0']);
  for (let i = 5; i < 8; i++) publish('c', `${i}-0 ${textOf(16_000)}`);
  expect([subscription.missed, subscription.take()]).toEqual([true, undefined]);
});
