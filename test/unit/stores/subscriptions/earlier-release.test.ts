import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { RedisSubscriptions, type Subscription } from '../../../../stores/subscriptions/index.js';

const subscription = (id: string): Subscription => ({
  ...{ id, request: 'r', url: 'https://a.test/', waits: true, about: {} },
});

it('receivers that have subscribed at a gateway of 0.3 are told', async () => {
  const kept = { '\nb': JSON.stringify(subscription('b')), '\na': JSON.stringify(subscription('a')) };
  const hgetall = async (key: string) => (key === 'millrace:subscriptions:{acme}:r1' ? kept : {});
  const subscriptions = new RedisSubscriptions({ hgetall } as unknown as Redis);
  expect(await subscriptions.list({ tenant: 'acme', run: 'r1' })).toEqual([subscription('a'), subscription('b')]);
});
