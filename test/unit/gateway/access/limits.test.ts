import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, expect, test, vi } from 'vitest';
import { type Access, Authenticator, issueKey, keyRing, RequestRate } from '../../../../gateway/index.js';
import { Admission } from '../../../../runs/admission/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await gateway?.close();
  gateway = undefined;
});

const logger = pino({ level: 'silent' });

/** A gateway on which a tenant may make three requests a minute and have two runs at once, and what became of its slots. */
async function limitedGateway(access: Access) {
  const authenticator = new Authenticator(access, logger, {
    rate: { perSecond: 0.05, burst: 3 },
    runs: 2,
    requests: new RequestRate(),
  });
  const slots: string[] = [];
  const admission = new Admission({
    taskQueue: 'millrace',
    stateOf: async (id) => (gateway?.temporal.runs.get(id) ? 'running' : 'absent'),
    logger,
    registry: new Registry(),
    slots: {
      take: async (owner, most) => {
        const free = slots.filter((slot) => slot === owner).length < most;
        if (free) slots.push(owner);
        return free ? 'taken' : undefined;
      },
      release: (owner) => void slots.splice(slots.indexOf(owner), 1),
    },
  });
  gateway = await testGateway({}, { authenticator, admission });
  return { app: gateway.app, temporal: gateway.temporal, slots };
}

const from = (tenant: string) => ({ 'millrace-tenant': tenant });

test('each tenant has its rate, told with every answer; probes cost nothing', async () => {
  // However long the machine takes for all of them.
  vi.useFakeTimers({ toFake: ['Date'] });
  const { app } = await limitedGateway({ by: 'proxy' });
  const ask = (tenant: string, url = '/v1/pipelines') => app.inject({ url, headers: from(tenant) });
  for (const remaining of ['2', '1', '0']) {
    const { statusCode, headers } = await ask('acme');
    expect([statusCode, headers['ratelimit-remaining'], headers['ratelimit-policy']]).toEqual([
      200,
      remaining,
      '"tenant";q=3;w=60',
    ]);
    expect((await ask('acme', '/healthz')).headers['ratelimit-limit']).toBeUndefined();
  }
  const refused = await ask('acme', '/v1/nothing');
  expect([refused.statusCode, refused.json().code]).toEqual([429, 'RATE_LIMITED']);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(55);
  expect(refused.headers.ratelimit).toMatch(/^"tenant";r=0;t=(60|59)$/);
  // As clients of OpenAI's API read it.
  const { ratelimit: _, ...names } = refused.headers;
  expect(names).toMatchObject({
    'x-ratelimit-limit-requests': names['ratelimit-limit'],
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-reset-requests': `${names['ratelimit-reset']}s`,
  });
  expect((await ask('other')).statusCode).toBe(200);
});

test('a key’s own limits stand in for its tenant’s', async () => {
  const issue = (limits?: { rate?: { perSecond: number; burst: number }; runs?: number }) =>
    issueKey({ name: '', tenant: 'acme', permissions: ['run', 'read'], ...(limits && { limits }) });
  const [own, plain] = [issue({ rate: { perSecond: 1, burst: 5 }, runs: 1 }), issue()];
  const { app, slots } = await limitedGateway({ by: 'key', keys: keyRing([own.key, plain.key]) });
  const start = async ({ secret }: { secret: string }) =>
    (
      await app.inject({
        method: 'POST',
        url: '/v1/pipelines/greet/runs',
        headers: { 'x-api-key': secret },
        payload: { name: 'Ada' },
      })
    ).statusCode;
  expect([await start(own), await start(own)]).toEqual([202, 429]);
  expect([await start(plain), await start(plain), await start(plain)]).toEqual([202, 202, 429]);
  expect(slots).toEqual([`key:${own.key.id}`, 'tenant:acme', 'tenant:acme']);
  expect([await start(plain), await start(own)]).toEqual([429, 429]);
});

test('who needs to show nothing has no limits', async () => {
  const { app, slots } = await limitedGateway({ by: 'loopback' });
  for (let i = 0; i < 10; i++) {
    const { statusCode } = await app.inject({
      method: 'POST',
      url: '/v1/pipelines/greet/runs',
      payload: { name: 'Ada' },
    });
    expect(statusCode).toBe(202);
  }
  expect(slots).toEqual([]);
});

test('an end that the gateway sees gives the slot back at once', async () => {
  const { app, slots, temporal } = await limitedGateway({ by: 'proxy' });
  const start = (headers: Record<string, string>) =>
    app.inject({
      method: 'POST',
      url: '/v1/pipelines/greet/runs',
      headers: { ...from('acme'), ...headers },
      payload: { name: 'Ada' },
    });
  temporal.onStart = (run) => run.end({ output: { name: 'Ada' }, stages: [] });
  expect((await start({ prefer: 'wait=1' })).statusCode).toBe(200);
  expect(slots).toEqual([]);
  expect((await start({ accept: 'text/event-stream' })).body).toContain('event: run');
  expect(slots).toEqual([]);
  temporal.onStart = () => undefined;
  expect((await start({})).statusCode).toBe(202);
  expect(slots).toEqual(['tenant:acme']);
});
