import type { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { type ChannelName, RedisChannelLog } from '../../stores/channels/index.js';
import { connected } from '../../stores/redis/index.js';
import type { ChannelStore } from '../contract/channel-fixtures.js';
import { channelContract } from '../contract/channel-suite.js';
import { partialWriterContract } from '../contract/partial-writer-suite.js';
import { testRedis } from '../support/test-worker.js';

let redis: Redis;
let subscriber: Redis;
beforeAll(async () => {
  redis = testRedis();
  subscriber = testRedis();
  // Each test has a log of its own on it.
  subscriber.setMaxListeners(0);
  await Promise.all([connected(redis, 30_000), connected(subscriber, 30_000)]);
});
afterAll(() => {
  redis.disconnect();
  subscriber.disconnect();
});

const keyOf = ({ run, path, of, generation = 0 }: ChannelName) =>
  `millrace:channel:{${run}}:${path}:${of}${generation > 0 ? `~${generation}` : ''}`;

const stored = (): ChannelStore => ({
  log: (mostBytes) => new RedisChannelLog(redis, subscriber, mostBytes === undefined ? {} : { mostBytes }),
  async lose(name, kept) {
    const key = keyOf(name);
    if (kept === 0) {
      await redis.del(key, `${key}:entries`);
      return;
    }
    const next = await redis.lindex(`${key}:entries`, kept);
    await redis.ltrim(`${key}:entries`, 0, kept - 1);
    await redis.hset(key, 'count', kept, 'hash', String(next).slice(0, 32));
  },
});

channelContract('Redis', stored);
partialWriterContract('Redis', stored);
