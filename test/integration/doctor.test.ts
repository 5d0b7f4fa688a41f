import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { carryOut, examine } from '../../cli/doctor/examine.js';
import type { Finding, FindingId } from '../../cli/doctor/finding.js';
import { redisChecks } from '../../cli/doctor/redis-check.js';
import { readSettings } from '../../workers/settings.js';
import { caught } from '../support/caught.js';
import { isSlow } from '../support/findings.js';
import { freePort } from '../support/free-port.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';
import { unlessStill } from '../support/unless-still.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const failed = (findings: readonly Finding[]) => findings.filter(({ state }) => state === 'fail');

/** A server that has not answered within 3 s is away: so it looks to a process that stands still for as long. */
describe('doctor on the stack', () => {
  it('finds nothing wrong', () =>
    unlessStill(async () => {
      const findings = await examine(testEnvironment());
      expect(failed(findings).filter((finding) => !isSlow(finding))).toEqual([]);
      const ids = new Set(findings.map(({ id }) => id));
      const wanted: FindingId[] = [
        'settings.valid',
        'temporal.worker',
        'redis.vectors',
        'redis.eviction',
        'pool.canary',
      ];
      for (const id of wanted) expect(ids).toContain(id);
      expect(findings.filter((finding) => finding.state === 'warn' && !isSlow(finding))).toEqual([]);
      expect(findings.find(({ id }) => id === 'media.ffmpeg')).toMatchObject({
        state: 'ok',
        detail: expect.stringMatching(/^ffmpeg version .+; the (first on PATH|embedded one: there is none on PATH)$/),
      });
      const canaries = findings.filter(({ id, state }) => id === 'pool.canary' && state !== 'fail');
      expect(canaries.length).toBeGreaterThan(0);
      for (const { ms } of canaries) expect(ms).toBeGreaterThanOrEqual(0);
    }));

  it('names a dead LLM server and what to do, and ends with 3', () =>
    unlessStill(async () => {
      const dead = `http://127.0.0.1:${await freePort()}/v1`;
      const env = { ...process.env, ...testEnvironment({ LLM_BASE_URL: dead }), NO_COLOR: '1' };
      const run = promisify(execFile)(process.execPath, [MAIN, 'doctor', '--json'], { env });
      const { code, stdout } = (await run.catch((error) => error)) as { code: number; stdout: string };
      const report = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
      expect(report.ok).toBe(false);
      expect(failed(report.findings).filter((finding) => !isSlow(finding))).toEqual([
        {
          id: 'pool.reachable',
          about: `assistant at ${dead}`,
          state: 'fail',
          detail: expect.stringContaining('ECONNREFUSED'),
          remedy: 'start the server, or correct LLM_BASE_URL',
        },
      ]);
      expect(code).toBe(3);
    }));

  it('prints a table', () =>
    unlessStill(async () => {
      const env = { ...process.env, ...testEnvironment(), NO_COLOR: '1' };
      const { stdout } = await caught('servers that other tests do not keep busy', () =>
        promisify(execFile)(process.execPath, [MAIN, 'doctor'], { env }).catch((error) => {
          if (/pool\.canary [\s\S]*no answer within/.test(String(error.stdout))) return undefined;
          throw error;
        }),
      );
      expect(stdout).toMatch(/^state +check +of +detail/);
      expect(stdout).toMatch(/^(ok|warn) +pool\.canary +minilm at \S+ /m);
      expect(stdout.trimEnd()).toMatch(/\n0 failed, \d+ warned, \d+ ok$/);
    }));

  it('names a namespace, a worker and a model that are not there', () =>
    unlessStill(async () => {
      const failedFor = async (over: Record<string, string>) =>
        failed(await examine(testEnvironment(over))).filter((finding) => !isSlow(finding));
      const lost = await failedFor({ MILLRACE_TASK_QUEUE: 'nobody', LLM_MODEL: 'gpt' });
      expect(lost.map(({ id, about }) => [id, about.split(' ')[0]])).toEqual([
        ['temporal.worker', 'nobody'],
        ['temporal.code', 'nobody'],
        ['pool.model', 'assistant'],
      ]);
      const [namespace] = await failedFor({ TEMPORAL_NAMESPACE: 'nowhere' });
      expect(namespace).toMatchObject({ id: 'temporal.namespace', about: 'nowhere' });
      expect(namespace?.remedy).toContain('namespace create --namespace nowhere');
    }));
});

describe('doctor on a Redis that could harm', () => {
  let server: OwnRedis;
  let admin: Redis;

  beforeAll(async () => {
    server = await ownRedis(address('REDIS_URL'));
    await server.start();
    admin = new Redis(server.url);
  });

  afterAll(async () => {
    admin.disconnect();
    await server.kill();
  });

  const diagnose = async (url = server.url) => {
    const findings = await carryOut(redisChecks(readSettings({ REDIS_URL: url })).slice(0, 1));
    return (id: FindingId) => findings.find((finding) => finding.id === id);
  };

  it('refuses what may evict journals and indexes, whatever its memory', async () => {
    const states: Record<string, string | undefined> = {};
    for (const policy of ['allkeys-lru', 'allkeys-random', 'noeviction', 'volatile-lru', 'volatile-ttl']) {
      await admin.config('SET', 'maxmemory-policy', policy);
      states[policy] = (await diagnose())('redis.eviction')?.state;
    }
    expect(states).toEqual({
      'allkeys-lru': 'fail',
      'allkeys-random': 'fail',
      noeviction: 'ok',
      'volatile-lru': 'fail',
      'volatile-ttl': 'fail',
    });
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
  });

  it('refuses one that does not show its policy, and a cache on the same server', async () => {
    await admin.call('ACL', 'SETUSER', 'blind', 'on', '>hidden-word', '~*', '+@all', '-info', '-config');
    const url = server.url.replace('//', '//blind:hidden-word@');
    const eviction = async (env: Record<string, string>) =>
      (await carryOut(redisChecks(readSettings({ ...env, REDIS_URL: url })).slice(0, 1))).find(
        ({ id }) => id === 'redis.eviction',
      );
    expect(await eviction({})).toMatchObject({ state: 'fail', remedy: expect.stringContaining('_UNSEEN=accept') });
    expect(await eviction({ MILLRACE_STORE_POLICY_UNSEEN: 'accept' })).toMatchObject({ state: 'ok' });
    expect(await eviction({ REDIS_CACHE_URL: url })).toMatchObject({ state: 'fail' });
  });

  it('refuses a cache in another database of the server', async () => {
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    const settings = readSettings({ REDIS_URL: `${server.url}/0`, REDIS_CACHE_URL: `${server.url}/1` });
    const findings = await carryOut(redisChecks(settings));
    const eviction = findings.filter(({ id }) => id === 'redis.eviction');
    expect(eviction.map(({ about, state }) => [about, state])).toEqual([
      [`${server.url}/0`, 'ok'],
      [`${server.url}/1`, 'fail'],
    ]);
    expect(eviction[1]?.remedy).toContain('REDIS_CACHE_URL');
  });

  it('warns of full memory, of no file to start from, and of missing vector sets', async () => {
    // A server without data uses 0.7 MiB.
    await admin.set('filler', 'x'.repeat(2 ** 20));
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    await admin.config('SET', 'maxmemory', '1mb');
    const found = await diagnose();
    expect(found('redis.memory')?.state).toBe('warn');
    expect(found('redis.persistence')?.state).toBe('warn');
    await admin.config('SET', 'maxmemory', '0');
    expect((await diagnose())('redis.memory')?.state).toBe('ok');
    await admin.call('ACL', 'SETUSER', 'plain', 'on', '>hidden-word', '~*', '+@all', '-vcard');
    const plain = await diagnose(server.url.replace('//', '//plain:hidden-word@'));
    expect(plain('redis.vectors')).toMatchObject({ state: 'warn', remedy: expect.stringContaining('Redis 8') });
    expect(JSON.stringify(plain('redis.reachable'))).not.toContain('hidden-word');
  });

  it('refuses one that answers, and carries out no writes', async () => {
    await admin.config('SET', 'min-replicas-to-write', '1');
    expect((await diagnose())('redis.writable')).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('NOREPLICAS'),
    });
    await admin.config('SET', 'min-replicas-to-write', '0');
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>hidden-word', 'resetkeys', '~app:*', '&*', '+@all');
    const app = server.url.replace('//', '//app:hidden-word@');
    const refused = { state: 'fail', remedy: expect.stringContaining('~millrace:*') };
    expect((await diagnose(app))('redis.writable')).toMatchObject(refused);
    await admin.call('ACL', 'SETUSER', 'app', 'resetkeys', '~millrace:*', 'resetchannels');
    expect((await diagnose(app))('redis.writable')).toMatchObject(refused);
    await admin.call('ACL', 'SETUSER', 'app', '&millrace:*');
    expect((await diagnose(app))('redis.writable')).toMatchObject({ state: 'ok' });
    expect(await admin.keys('millrace:doctor*')).toEqual([]);
  });

  it('refuses a replica and a wrong password', async () => {
    expect((await diagnose(server.url.replace('//', '//plain:wrong-word@')))('redis.reachable')).toMatchObject({
      state: 'fail',
      detail: expect.stringContaining('WRONGPASS'),
    });
    await admin.replicaof('127.0.0.1', String(await freePort()));
    expect((await diagnose())('redis.writable')?.state).toBe('fail');
    await admin.replicaof('NO', 'ONE');
  });
});
