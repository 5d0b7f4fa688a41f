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

it('what is no token is not looked for', async () => {
  const asked = () => Promise.reject(new Error('asked'));
  const callbacks = new RedisCallbacks({ set: asked, get: asked, del: asked } as unknown as Redis);
  expect(await callbacks.arrive('../x')).toBe(false);
});
