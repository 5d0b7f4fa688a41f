import { describe, expect, it } from 'vitest';
import { bounded } from '../../../../activities/vector-index/bounded.js';
import { indexFailure } from '../../../../activities/vector-index/failures.js';
import { keysOf } from '../../../../activities/vector-index/keys.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { serverName } from '../../../../stores/redis/index.js';

describe('keys', () => {
  const allKeys = (tenant: string, index: string, print = 'p') => {
    const keys = keysOf({ tenant, index });
    return [keys.meta, keys.of(print).vectors, keys.of(print).passages];
  };

  it('hold tenant and index in clear, all of a tenant in one slot of a cluster', () => {
    for (const key of allKeys('acme', 'docs')) expect(key).toMatch(/^millrace:index:\{acme\}:2:/);
    for (const key of allKeys('acme', 'a}b{c')) expect(key.match(/[{}]/g)).toHaveLength(2);
  });

  it('differ for every tenant, index and embedder', () => {
    const names = [
      ['a', 'b:c'],
      ['a:b', 'c'],
      ['a', 'b'],
      ['A', 'b'],
      ['~a', 'b'],
      ['a', ''],
      ['', 'a'],
    ];
    const keys = names.flatMap(([tenant = '', index = '']) => allKeys(tenant, index));
    expect(new Set(keys).size).toBe(keys.length);
    // A tenant's use is counted for all its indices, and is no index's key.
    expect(keysOf({ tenant: 'a', index: 'b' }).use).toBe(keysOf({ tenant: 'a', index: 'c' }).use);
    for (const [tenant = '', index = ''] of names) expect(keys).not.toContain(keysOf({ tenant, index }).use);
    expect(allKeys('a', 'b', 'p')[1]).not.toBe(allKeys('a', 'b', 'q')[1]);
    expect(allKeys('a', 'b', 'p')[0]).toBe(allKeys('a', 'b', 'q')[0]);
  });
});

describe('failures', () => {
  const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });

  it.each([
    [reply("ERR unknown command 'VADD'"), 'INDEX_UNSUPPORTED'],
    [reply("NOPERM this user has no permissions to run the 'vsim' command"), 'INDEX_UNSUPPORTED'],
    [reply('ERR Unknown Redis command called from script script: 7c, on @user_script:25.'), 'INDEX_UNSUPPORTED'],
    [reply("ERR ACL failure in script: User plain has no permissions to run the 'VADD' command"), 'INDEX_UNSUPPORTED'],
    [reply("ERR The user executing the script can't run this command or subcommand script: 7c"), 'INDEX_UNSUPPORTED'],
    [Object.assign(reply('EXECABORT'), { previousErrors: [reply("ERR unknown command 'VADD'")] }), 'INDEX_UNSUPPORTED'],
    [reply("OOM command not allowed when used memory > 'maxmemory'"), 'STORE_FULL'],
    [reply('LOADING Redis is loading the dataset in memory'), 'STORE_UNAVAILABLE'],
    [new Error('Command timed out'), 'STORE_UNAVAILABLE'],
    [new Error('Stream isn’t writeable and enableOfflineQueue options is false'), 'STORE_UNAVAILABLE'],
  ])('%s is %s', (error, code) => {
    expect(indexFailure(error, 'Redis 7.2.4')).toMatchObject({ code });
  });

  it.each([
    [reply('READONLY You can’t write against a read only replica.'), true],
    [new Error('Connection is closed.'), true],
    [reply('WRONGTYPE Operation against a key holding the wrong kind of value'), undefined],
  ])('%s is waited for: %s', (error, unreached) => {
    expect(indexFailure(error, 'Redis 8').details.unreached).toBe(unreached);
  });

  it('say which Redis is needed and which there is', () => {
    const { message } = indexFailure(reply("ERR unknown command 'VADD'"), 'Redis 7.2.4');
    expect(message).toMatch(/Redis 8 .*VREM.*Redis 7\.2\.4/);
    expect(serverName('# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n')).toBe('Valkey 8.1.0');
    expect(serverName('redis_version:8.2.3\r\n')).toBe('Redis 8.2.3');
    expect(serverName('')).toBe('Redis of unknown version');
  });

  it('pass what is an error of the table already', () => {
    const error = new MillraceError('INDEX_MISMATCH', 'x');
    expect(indexFailure(error, '')).toBe(error);
  });
});

describe('bounded', () => {
  const never = () => new AbortController().signal;
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it('keeps order and never exceeds its limit', async () => {
    let now = 0;
    let most = 0;
    const results = await bounded([5, 1, 4, 2, 3, 0], 3, never(), async (item) => {
      now += 1;
      most = Math.max(most, now);
      await sleep(item * 5);
      now -= 1;
      return item * 2;
    });
    expect(results).toEqual([10, 2, 8, 4, 6, 0]);
    expect(most).toBe(3);
    expect(await bounded([], 3, never(), sleep)).toEqual([]);
  });

  it('begins nothing after a failure, and tells those that run', async () => {
    const begun: number[] = [];
    const aborted: number[] = [];
    const work = bounded([0, 1, 2, 3, 4], 2, never(), async (item, signal) => {
      begun.push(item);
      signal.addEventListener('abort', () => aborted.push(item));
      await sleep(item === 0 ? 10 : 40);
      if (item === 0) throw new Error('first');
    });
    await expect(work).rejects.toThrow('first');
    await sleep(80);
    expect(begun).toEqual([0, 1]);
    expect(aborted).toContain(1);
  });

  it('begins nothing when the signal has aborted', async () => {
    const reason = new Error('cancelled');
    const work = bounded([1], 2, AbortSignal.abort(reason), () => expect.unreachable());
    await expect(work).rejects.toBe(reason);
  });
});
