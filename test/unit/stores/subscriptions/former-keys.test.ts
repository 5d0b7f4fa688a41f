import type { Redis } from 'ioredis';
import { beforeEach, expect, it } from 'vitest';
import { RedisSubscriptions, type Subscription } from '../../../../stores/subscriptions/index.js';

const of = { tenant: 'acme', run: 'r1' };
const FORMER = 'millrace:subscriptions:{acme}:r1';
const NEW = 'millrace:subscriptions:{r1}:acme';

const subscription = (id: string, url = 'https://a.test/'): Subscription => ({
  ...{ id, request: 'r', url, waits: true, about: {} },
});
const hash = (...all: readonly Subscription[]) =>
  new Map(all.map((each) => [`\n${each.id}`, JSON.stringify(each)] as const));

let hashes: Map<string, Map<string, string>>;
const redis = {
  hgetall: async (key: string) => Object.fromEntries(hashes.get(key) ?? []),
  hdel: async (key: string, field: string) => Number(hashes.get(key)?.delete(field) ?? false),
  del: async (key: string) => Number(hashes.delete(key)),
} as unknown as Redis;
const subscriptions = new RedisSubscriptions(redis);

beforeEach(() => {
  hashes = new Map([
    [FORMER, hash(subscription('a'), subscription('b', 'https://former.test/'))],
    [NEW, hash(subscription('b'), subscription('c'))],
  ]);
});

it('receivers that subscribed before the update are told, and each is told once', async () => {
  expect(await subscriptions.list(of)).toEqual([subscription('a'), subscription('b'), subscription('c')]);
});

it('removing a receiver, or a run, removes both', async () => {
  await subscriptions.remove(of, { id: 'b' });
  expect((await subscriptions.list(of)).map(({ id }) => id)).toEqual(['a', 'c']);
  await subscriptions.erase(of);
  expect(hashes.size).toBe(0);
});
