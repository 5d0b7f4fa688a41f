import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connected, script } from '../../stores/redis/index.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address } from '../support/runs.js';
import { testRedis } from '../support/test-worker.js';

let own: OwnRedis;
let redis: Redis;
beforeAll(async () => {
  own = await ownRedis(address('REDIS_URL'));
  await own.start();
  redis = testRedis(own.url);
  await connected(redis, 30_000);
});
afterAll(async () => {
  redis.disconnect();
  await own.kill();
});

const join = script<[key: string], [separator: string, ...words: string[]], string>(
  `return KEYS[1] .. ARGV[1] .. table.concat(ARGV, ARGV[1], 2)`,
);

const calls = async (command: string): Promise<number> =>
  Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.info('commandstats'))?.[1] ?? 0);

it('a script is sent in full once, by its hash from then on, and again to a server that has lost it', async () => {
  const answers = await Promise.all([join(redis, ['a'], '-', 'b', 'c'), join(redis, ['d'], '+', 'e')]);
  expect(answers).toEqual(['a-b-c', 'd+e']);
  expect([await calls('eval'), await calls('evalsha')]).toEqual([1, 1]);
  await redis.script('FLUSH');
  expect(await Promise.all([join(redis, ['a'], '-'), join(redis, ['b'], '-')])).toEqual(['a-', 'b-']);
  // A call that was sent before the first one's refusal came is refused too, and sends the text once more.
  expect([2, 3]).toContain(await calls('eval'));
});

it('a connection that is made anew sends it in full: its order to the commands behind it stays', async () => {
  await own.kill();
  await own.start();
  await connected(redis, 30_000);
  expect(await join(redis, ['a'], '-', 'b')).toBe('a-b');
  expect([await calls('eval'), await calls('evalsha')]).toEqual([1, 0]);
});
