import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { keptSecret, sharedSecret } from '../../../../stores/secrets/index.js';

/** What two processes see of one Redis. */
function store() {
  const kept = new Map<string, string>();
  const state = { away: false };
  const call = <T>(work: () => T) => (state.away ? Promise.reject(new Error('away')) : Promise.resolve(work()));
  const redis = {
    get: (key: string) => call(() => kept.get(key) ?? null),
    set: (key: string, value: string) => call(() => (kept.has(key) ? null : kept.set(key, value) && 'OK')),
  } as unknown as Redis;
  return { kept, state, redis };
}

test('processes of one Redis have one secret, whoever comes first, and others another', async () => {
  const { redis } = store();
  const [one, two] = [sharedSecret(redis, 'k'), sharedSecret(redis, 'k')];
  const [first, second] = await Promise.all([one(), two()]);
  expect(first).toEqual(second);
  expect(first).toHaveLength(32);
  expect(await sharedSecret(redis, 'other')()).not.toEqual(first);
});

test('without the Redis each has its own, until it is back', async () => {
  const { redis, state } = store();
  const [one, two] = [sharedSecret(redis, 'k'), sharedSecret(redis, 'k')];
  const shared = await one();
  state.away = true;
  expect(await one()).toEqual(shared); // it was its own that was taken
  expect(await two()).not.toEqual(shared);
  state.away = false;
  expect(await two()).toEqual(shared);
});

test('what clients keep is sealed by the shared secret or not at all', async () => {
  const { kept, redis, state } = store();
  const [one, two] = [keptSecret(redis, 'k'), keptSecret(redis, 'k')];
  const shared = await one();
  expect(await two()).toEqual(shared);
  state.away = true;
  await expect(one()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await expect(two()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  state.away = false;
  expect(await two()).toEqual(shared);
  // Erased, it is another one, the same for all.
  kept.clear();
  expect(await one()).toEqual(await two());
});
