import { expect, test, vi } from 'vitest';
import { writeFinding } from '../../../../cli/doctor/redis-write.js';
import type { StoreRole } from '../../../../workers/stores.js';

/** A Redis that refuses to carry out a script at some keys, or to publish. */
function redisWith({ script, channel, node = 0 }: { script?: string; channel?: string; node?: number }) {
  const refuse = async (message: string | undefined) => {
    if (message !== undefined) throw new Error(message);
    return 1;
  };
  let asked = 0;
  return {
    eval: vi.fn(() => {
      asked += 1;
      return refuse(asked > node ? script : undefined);
    }),
    publish: vi.fn(() => refuse(channel)),
  };
}

const findingOf = (redis: ReturnType<typeof redisWith>, roles: readonly StoreRole[] = ['state']) =>
  writeFinding(redis as never, 'redis://r', { setting: 'REDIS_URL', roles });

test('a server that carries out scripts and passes messages on accepts writes', async () => {
  const redis = redisWith({});
  expect(await findingOf(redis)).toMatchObject({ id: 'redis.writable', state: 'ok' });
  expect(redis.publish).toHaveBeenCalled();
});

test.each([
  [
    'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.',
    'free its disk',
  ],
  [
    "READONLY You can't write against a read only replica. script: 8d, on @user_script:1.",
    'point REDIS_URL at the primary',
  ],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 8d", 'maxmemory'],
  ['NOREPLICAS Not enough good replicas to write.', 'replicas'],
  ["NOPERM User app has no permissions to run the 'eval' command", '~millrace:*'],
  ["ACL failure in script: User app has no permissions to run the 'set' command", '~millrace:*'],
  ['ERR something else', 'log'],
])('%s: refuses writes', async (script, remedy) => {
  expect(await findingOf(redisWith({ script }))).toMatchObject({
    id: 'redis.writable',
    state: 'fail',
    detail: expect.stringContaining(script),
    remedy: expect.stringContaining(remedy),
  });
});

test('a node of a cluster, which has some of the keys, is none', async () => {
  const node = redisWith({ script: 'MOVED 3999 10.0.0.2:6379', node: 5 });
  expect(await findingOf(node)).toMatchObject({ state: 'fail', remedy: expect.stringContaining('Redis Cluster') });
});

test('a user without channels gets no events of runs', async () => {
  const redis = redisWith({ channel: 'NOPERM No permissions to access a channel' });
  expect(await findingOf(redis)).toMatchObject({ state: 'fail', remedy: expect.stringContaining('&millrace:*') });
  expect(await findingOf(redis, ['index'])).toMatchObject({ state: 'ok' });
});

test('a cache that is full is worth a warning', async () => {
  const full = redisWith({ script: 'OOM command not allowed' });
  expect(await findingOf(full, ['cache'])).toMatchObject({ state: 'warn' });
  expect(await findingOf(full, ['state', 'cache'])).toMatchObject({ state: 'fail' });
});
