import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { RedisCallbacks } from '../../../../stores/callbacks/index.js';

const TOKEN = 'a'.repeat(43);

it.each([
  ['Connection is closed.', 'STORE_UNAVAILABLE'],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'STATE_STORE_FULL'],
])('a Redis that answers "%s" is told as %s', async (message, code) => {
  const fails = () => Promise.reject(new Error(message));
  const callbacks = new RedisCallbacks({ set: fails, get: fails, del: fails } as unknown as Redis);
  await expect(callbacks.open(1_000)).rejects.toMatchObject({ code });
  await expect(callbacks.arrive(TOKEN)).rejects.toMatchObject({ code });
  await expect(callbacks.arrived(TOKEN)).rejects.toMatchObject({ code });
  await expect(callbacks.close(TOKEN)).rejects.toMatchObject({ code });
});

it('tells each call once, and knows none after the end', async () => {
  const kept = new Map<string, string>();
  const redis = {
    async set(key: string, value: string, ...how: unknown[]) {
      if (how.includes('XX') && !kept.has(key)) return null;
      kept.set(key, value);
      return 'OK';
    },
    get: async (key: string) => kept.get(key) ?? null,
    del: async (key: string) => Number(kept.delete(key)),
  };
  const callbacks = new RedisCallbacks(redis as unknown as Redis);
  const token = await callbacks.open(1_000);
  expect(await callbacks.arrived(token)).toBe(false);
  for (const calls of [1, 2]) {
    for (let call = 0; call < calls; call++) expect(await callbacks.arrive(token)).toBe(true);
    expect([await callbacks.arrived(token), await callbacks.arrived(token)]).toEqual([true, false]);
  }
  await callbacks.close(token);
  expect(await callbacks.arrive(token)).toBe(false);
});

it('what is no token is not looked for', async () => {
  const asked = () => Promise.reject(new Error('asked'));
  const callbacks = new RedisCallbacks({ set: asked, get: asked, del: asked } as unknown as Redis);
  expect(await callbacks.arrive('../x')).toBe(false);
});
