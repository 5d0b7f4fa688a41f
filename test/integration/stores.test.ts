import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunEvent, StageCall } from '../../pipelines/run/index.js';
import { RunEventLog, RunEventReader } from '../../stores/events/index.js';
import { connected } from '../../stores/redis/index.js';
import { FactStore, SessionStore } from '../../stores/sessions/index.js';
import { caught } from '../support/caught.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, CallLog, until } from '../support/runs.js';
import { testRedis } from '../support/test-worker.js';
import { WorkerProcess } from '../support/worker-process.js';

let own: OwnRedis;
let admin: Redis;
beforeAll(async () => {
  own = await ownRedis(address('REDIS_URL'));
  await own.start();
  admin = new Redis(own.url);
});
afterAll(async () => {
  admin.disconnect();
  await own.kill();
});

const set = (name: string, value: string) => admin.config('SET', name, value);
const fill = async () => {
  await admin.set('filler', 'x'.repeat(4 * 2 ** 20));
  await set('maxmemory', '3mb');
};
const empty = async () => {
  await set('maxmemory', '0');
  await admin.del('filler');
};

describe('the stores of the embedded stack', () => {
  it('are a server for each role: state and indexes evict nothing, and all are kept over a restart', async () => {
    const policies: Record<string, unknown> = {};
    const servers = new Set<string>();
    for (const name of ['REDIS_URL', 'REDIS_INDEX_URL', 'REDIS_CACHE_URL'] as const) {
      const redis = new Redis(address(name));
      const [, policy] = (await redis.config('GET', 'maxmemory-policy')) as [string, string];
      const [, limit] = (await redis.config('GET', 'maxmemory')) as [string, string];
      const info = await redis.info();
      policies[name] = [policy, Number(limit) / 2 ** 20, /aof_enabled:(\d)/.exec(info)?.[1]];
      servers.add(/run_id:(\w+)/.exec(info)?.[1] ?? '');
      redis.disconnect();
    }
    expect(servers.size).toBe(3);
    expect(policies).toEqual({
      REDIS_URL: ['noeviction', 512, '1'],
      REDIS_INDEX_URL: ['noeviction', 512, '1'],
      REDIS_CACHE_URL: ['volatile-lru', 256, '1'],
    });
  });
});

/** Why a process does not start. A store that does not answer within two seconds at the start is looked at later. */
const refusal = (start: () => Promise<() => Promise<void>>) =>
  caught('the store', async () => {
    const end = await start().catch((error: Error) => error);
    if (end instanceof Error) return end.message;
    await end();
    return undefined;
  });
const gatewayOn = (env: Record<string, string>) => async () => {
  const gateway = await GatewayProcess.start(env);
  return () => gateway.stop();
};
const workerOn = (queue: string, env: Record<string, string>) => async () => {
  const worker = await WorkerProcess.start(`${queue}-${randomUUID()}`, env);
  return () => worker.kill();
};

describe('a state store that may evict', () => {
  it('starts neither a worker nor a gateway', async () => {
    await set('maxmemory-policy', 'volatile-lru');
    const env = { REDIS_URL: own.url, REDIS_CACHE_URL: address('REDIS_CACHE_URL') };
    expect(await refusal(gatewayOn(env))).toMatch(/INVALID_SETTING[\s\S]*volatile-lru/);
    expect(await refusal(workerOn('evicting', env))).toMatch(/did not start/);
    await set('maxmemory-policy', 'noeviction');
  });

  it('is no cache at the same time', async () => {
    const env = { REDIS_URL: own.url, REDIS_CACHE_URL: own.url };
    expect(await refusal(workerOn('shared', env))).toMatch(/did not start/);
  });
});

describe('what a tenant keeps in a store that is full', () => {
  it('is removed, which makes room', async () => {
    const of = { tenant: randomUUID(), of: 'desk' };
    const [facts, sessions] = [new FactStore(admin), new SessionStore(admin)];
    const ada = { ...of, user: 'ada' };
    const fact = (text: string) => ({ key: text, text, most: 10, ttlMs: 600_000 });
    for (const text of ['Likes tea.', 'Lives in Rome.']) await facts.add(ada, fact(text));
    await sessions.add({ ...of, session: 's' }, { key: '1', messages: [], ttlMs: 600_000 });
    await fill();
    try {
      await expect(facts.add(ada, fact('Likes coffee.'))).rejects.toMatchObject({ code: 'STATE_STORE_FULL' });
      expect(await facts.remove(ada, 1)).toBe(true);
      expect(await facts.erase(ada)).toBe(true);
      expect(await sessions.erase({ ...of, session: 's' })).toBe(true);
    } finally {
      await empty();
    }
    expect(await facts.list(ada)).toEqual([]);
  });
});

describe('a gateway on a store that', () => {
  let gateway: GatewayProcess;
  beforeAll(async () => {
    gateway = await GatewayProcess.start({ REDIS_URL: own.url });
  });
  afterAll(() => gateway.stop());

  /** What is missing of the store; no other part of this gateway's stack is on it. */
  const readiness = async () => {
    const answer = (await (await fetch(`${gateway.url}/readyz`)).json()) as {
      degraded?: readonly { part: string; message: string }[];
    };
    return answer.degraded?.find(({ part }) => part === 'redis')?.message ?? 'sound';
  };
  const start = async () => {
    const response = await fetch(`${gateway.url}/v1/pipelines/gated/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ log: new CallLog().file }),
    });
    const answer = (await response.json()) as { id: string; code?: string };
    if (response.status === 202) await fetch(`${gateway.url}/v1/runs/${answer.id}/cancel`, { method: 'POST' });
    return [response.status, answer.code, response.headers.get('retry-after') !== null];
  };

  it('is made to evict while it is used says so', async () => {
    await until('it is right', async () => (await readiness()) === 'sound');
    await set('maxmemory-policy', 'allkeys-lru');
    await until('it is noticed', async () => (await readiness()).includes('allkeys-lru'));
    await set('maxmemory-policy', 'noeviction');
    await until('it is right again', async () => (await readiness()) === 'sound');
  });

  it('is full refuses runs with a code of its own, and takes them again when there is room', async () => {
    expect(await start()).toEqual([202, undefined, false]);
    await fill();
    // Before, it may be refused for another reason, where the store stands still.
    await until('it is noticed', async () => (await start())[1] === 'STATE_STORE_FULL');
    expect(await start()).toEqual([503, 'STATE_STORE_FULL', true]);
    // It is looked at once a second for all who ask.
    await until('it is told', async () => (await readiness()).includes('MiB'));
    await empty();
    await until('there is room', async () => (await start())[0] === 202);
  });
});

describe('events that a full store does not take', () => {
  it('are a gap that is told at once, and stands in the stream for those who come later', async () => {
    const all = [testRedis(own.url), testRedis(own.url), testRedis(own.url)] as const;
    for (const redis of all) await connected(redis, 30_000);
    const lost: unknown[] = [];
    const log = new RunEventLog(all[0], (error) => lost.push(error));
    const run = `gap-test-${randomUUID()}`;
    const events = log.attempt(run, { stage: 'answer', kind: 'chat', model: 'm', events: true } as StageCall, 1);
    const follow = (seen: RunEvent[], over = new AbortController()) => {
      const reader = new RunEventReader(all[1], all[2]);
      const done = (async () => {
        for await (const { event } of reader.follow(run, undefined, over.signal)) seen.push(event);
      })();
      return { stop: () => over.abort(), done };
    };
    const live: RunEvent[] = [];
    const follower = follow(live);
    await until('it has begun', () => live.length === 1);
    await fill();
    for (const text of ['a', 'b', 'c']) events?.delta(text);
    await until('the gap is told', () => live.some(({ type }) => type === 'events.lost'));
    await until('all are refused', () => lost.length === 3);
    await empty();
    await events?.finished('off', 1);
    const later: RunEvent[] = [];
    const second = follow(later);
    await until('it is there', () => later.length === 3);
    expect(later.map((event) => [event.type, 'count' in event ? event.count : undefined])).toEqual([
      ['stage.started', undefined],
      ['events.lost', 3],
      ['stage.finished', undefined],
    ]);
    for (const each of [follower, second]) {
      each.stop();
      await each.done;
    }
    for (const redis of all) redis.disconnect();
  });
});
