import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { isFull, mayEvict, readStoreState, StoreWatch } from '../../../../stores/redis/index.js';
import { recordingLogger } from '../../../support/caches.js';
import { until } from '../../../support/runs.js';

const MIB = 2 ** 20;

/** An answer that says the command may not be used, as Redis' ACL gives it. */
class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** What a server shows: `INFO`, `CONFIG GET`, both or neither. */
function server(fields: Record<string, string>, shows: { info?: boolean; config?: boolean } = { info: true }) {
  const refuse = (command: string) =>
    Promise.reject(new ReplyError(`NOPERM this user has no permissions to run ${command}`));
  const info = () =>
    shows.info
      ? Promise.resolve(
          `# Memory\r\n${Object.entries(fields)
            .map(([name, value]) => `${name}:${value}\r\n`)
            .join('')}`,
        )
      : refuse('info');
  const config = (_: string, name: string) =>
    shows.config ? Promise.resolve([name, fields[name.replaceAll('-', '_')] ?? '']) : refuse('config|get');
  return { info, config } as unknown as Parameters<typeof readStoreState>[0];
}

const sound = { maxmemory_policy: 'noeviction', aof_enabled: '1', used_memory: '1', maxmemory: String(100 * MIB) };

const opened: StoreWatch[] = [];
afterEach(() => {
  for (const watch of opened.splice(0)) watch.stop();
});

function watch(redis: Parameters<typeof readStoreState>[0], acceptUnseen = false) {
  const registry = new Registry();
  const { logger, warnings } = recordingLogger();
  const made = new StoreWatch({
    role: 'state',
    redis,
    setting: 'REDIS_URL',
    acceptUnseen,
    logger,
    registry,
    everyMs: 5,
  });
  opened.push(made);
  return { watch: made, warnings, registry };
}

describe('a look at a store', () => {
  it('reads the policy from INFO where CONFIG is forbidden, and the other way round', async () => {
    const fields = { ...sound, maxmemory_policy: 'volatile-lru' };
    expect(mayEvict(await readStoreState(server(fields, { info: true })))).toBe(true);
    expect(mayEvict(await readStoreState(server(fields, { config: true })))).toBe(true);
    expect(mayEvict(await readStoreState(server(fields, {})))).toBeUndefined();
  });
});

describe('at the start', () => {
  it.each(['volatile-lru', 'volatile-ttl', 'volatile-random', 'volatile-lfu', 'allkeys-lru', 'allkeys-random'])(
    'a state store with %s is refused, and what to do is said',
    async (policy) => {
      await expect(watch(server({ ...sound, maxmemory_policy: policy })).watch.start()).rejects.toMatchObject({
        code: 'INVALID_SETTING',
        message: expect.stringMatching(new RegExp(`REDIS_URL.*${policy}.*noeviction`)),
        details: { fields: [{ field: 'REDIS_URL' }] },
      });
    },
  );

  it('a store that shows no policy is refused until somebody says that it is right', async () => {
    await expect(watch(server(sound, {})).watch.start()).rejects.toThrow(/MILLRACE_STORE_POLICY_UNSEEN=accept/);
    await watch(server(sound, {}), true).watch.start();
    const evicting = server({ ...sound, maxmemory_policy: 'allkeys-lru' });
    await expect(watch(evicting, true).watch.start()).rejects.toThrow(/allkeys-lru/);
  });

  it('one without an append-only file is warned of, and one that is away is let be', async () => {
    const { watch: careless, warnings } = watch(server({ ...sound, aof_enabled: '0' }));
    await careless.start();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain('append-only');
    const away = { info: () => Promise.reject(new Error('Connection is closed.')) } as unknown as Parameters<
      typeof readStoreState
    >[0];
    const { watch: absent } = watch(away);
    await absent.start();
    absent.requireSound();
  });
});

describe('while it is used', () => {
  it('a policy that somebody changes is noticed, and when it is put right again', async () => {
    const fields: Record<string, string> = { ...sound };
    const { watch: used, registry } = watch(server(fields));
    await used.start();
    used.requireSound();
    fields.maxmemory_policy = 'allkeys-lru';
    await until('it is noticed', () => holds(() => used.requireSound(), /allkeys-lru/));
    expect(await registry.metrics()).toContain('millrace_store_evicts{store="state"} 1');
    fields.maxmemory_policy = 'noeviction';
    await until('it is right again', () => holds(() => used.requireSound()));
  });

  it('nothing new begins from 95 % of the memory on, which leaves the rest to what has begun', async () => {
    const fields: Record<string, string> = { ...sound, used_memory: String(94 * MIB) };
    const { watch: used } = watch(server(fields));
    await used.start();
    used.requireRoom();
    fields.used_memory = String(95 * MIB);
    await until('it is full', () => holds(() => used.requireRoom(), /95 of 100 MiB/));
    fields.maxmemory = '0';
    await until('no limit is never full', () => holds(() => used.requireRoom()));
  });
});

describe('a refusal for want of memory', () => {
  it('is told apart from every other', () => {
    expect(isFull(new ReplyError("OOM command not allowed when used memory > 'maxmemory'."))).toBe(true);
    expect(
      isFull(new ReplyError("OOM command not allowed when used memory > 'maxmemory'. script: 3f, on @user_script:1.")),
    ).toBe(true);
    const aborted = Object.assign(new ReplyError('EXECABORT Transaction discarded because of previous errors.'), {
      previousErrors: [new ReplyError("OOM command not allowed when used memory > 'maxmemory'.")],
    });
    expect(isFull(aborted)).toBe(true);
    expect(isFull(new Error('Connection is closed.'))).toBe(false);
    expect(isFull(new ReplyError('LOADING Redis is loading the dataset in memory'))).toBe(false);
  });
});

/** Whether `check` throws what fits; without a pattern, whether it does not throw. */
function holds(check: () => void, thrown?: RegExp): boolean {
  try {
    check();
    return thrown === undefined;
  } catch (error) {
    return thrown?.test(String(error)) ?? false;
  }
}
