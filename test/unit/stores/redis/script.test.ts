import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { script } from '../../../../stores/redis/index.js';
import { scripted } from '../../../support/scripted.js';

const redis = scripted(async () => 'ran') as unknown as Redis;
const run = script<readonly string[], [], string>('return 1');

it.each([
  ['one key', ['a']],
  ['keys with one tag', ['x:{run}:a', 'y:{run}:b', '{run}']],
  ['a key twice', ['a', 'a']],
  ['the first braces of each', ['{run}:{a}', '{run}:{b}']],
])('a script may have %s', async (_, keys) => {
  expect(await run(redis, keys)).toBe('ran');
});

it.each([
  ['without tags', ['a', 'b']],
  ['with other tags', ['{a}:x', '{b}:x']],
  ['with a tag beside one without', ['{a}:x', 'a:x']],
  ['with empty braces, which are no tag', ['{}:a', '{}:b']],
])('a script with several keys %s is refused: a cluster would refuse it', async (_, keys) => {
  await expect(run(redis, keys)).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.stringContaining(keys[1] ?? ''),
  });
});
