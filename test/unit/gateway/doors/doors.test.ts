import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Authenticator, type Door, issueKey, keyRing } from '../../../../gateway/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunDocument } from '../../../../runs/document.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

type OfRun = { Params: { id: string } };

/** A protocol of lines of text: the first word of a body is a pipeline, the rest its `name`. */
const lines: Door = {
  prefix: '/lines',
  routes(app: FastifyInstance, gateway) {
    app.post('/say', async (request) => {
      const [pipeline = '', ...rest] = (request.body as Buffer).toString().trim().split(' ');
      const { status, output = {} } = await gateway.start(request, {
        pipeline,
        input: { name: rest.join(' ') },
        waitMs: 1_000,
        idempotencyKey: 'one',
      });
      return `${status}: ${String(output.name)}`;
    });
    app.post('/start', async (request) =>
      gateway.start(request, request.body as { pipeline: string; input: JsonObject }),
    );
    app.post('/later', async (request, reply) => {
      await reply.code(202).send();
      await gateway.start(request, request.body as { pipeline: string; input: JsonObject });
    });
    app.get('/mine', async (request) => ({
      tenant: gateway.tenantOf(request),
      pipelines: gateway.pipelines(request).map(({ name }) => name),
    }));
    app.get<OfRun>('/runs/:id', async (request) => gateway.read(request, request.params.id));
    app.get<OfRun>('/runs/:id/events', async (request) => {
      const events: string[] = [];
      for await (const { type } of gateway.follow(request, request.params.id)) events.push(type);
      return events;
    });
    app.get('/sneaky', async (request) => gateway.start(request, { pipeline: 'greet', input: { name: 'x' } }));
    app.delete<OfRun>('/runs/:id', async (request, reply) => {
      await gateway.cancel(request, request.params.id);
      return await reply.code(202).send();
    });
  },
};

let gateway: TestGateway;
afterEach(() => gateway.close());

/** With keys of two tenants; the second may use one pipeline, the third may only read. */
async function opened(doors: readonly Door[] = [lines]) {
  const keys = [
    issueKey({ name: 'a', tenant: 'acme', permissions: ['run', 'read'] }),
    issueKey({ name: 'b', tenant: 'other', permissions: ['run', 'read'], pipelines: ['greet'] }),
    issueKey({ name: 'c', tenant: 'acme', permissions: ['read'] }),
  ];
  const access = { by: 'key', keys: keyRing(keys.map(({ key }) => key)) } as const;
  const authenticator = new Authenticator(access, pino({ level: 'silent' }));
  gateway = await testGateway({}, { authenticator, doors });
  gateway.temporal.onStart = (run) => run.end({ output: { name: run.options.args[0].name ?? null }, stages: [] });
  const [acme = '', other = '', reader = ''] = keys.map(({ secret }) => secret);
  return { acme, other, reader };
}

const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, key?: string, payload?: string | object) =>
  gateway.app.inject({
    method,
    url,
    headers: {
      ...(key && { 'x-api-key': key }),
      ...(typeof payload === 'string' && { 'content-type': 'text/plain' }),
    },
    ...(payload !== undefined && { payload }),
  });

test('a door starts runs for the tenant of the key, and reads them', async () => {
  const { acme, other } = await opened();
  const said = await ask('POST', '/lines/say', acme, 'greet Ada Lovelace');
  expect([said.statusCode, said.body]).toEqual([200, 'succeeded: Ada Lovelace']);
  const run = gateway.temporal.only();
  expect(run.options).toMatchObject({ memo: { tenant: 'acme' } });
  // The same idempotency key starts no second run.
  await ask('POST', '/lines/say', acme, 'greet Ada Lovelace');
  expect(gateway.temporal.only()).toBe(run);
  const id = run.options.workflowId;
  expect((await ask('GET', `/lines/runs/${id}`, acme)).json()).toMatchObject({ id, status: 'succeeded' });
  expect((await ask('GET', `/lines/runs/${id}`, other)).json()).toMatchObject({ code: 'RUN_NOT_FOUND' });
  expect((await ask('GET', `/lines/runs/${id}/events`, acme)).json()).toEqual([]);
  expect((await ask('DELETE', `/lines/runs/${id}`, acme)).json()).toMatchObject({ code: 'RUN_ENDED' });
  expect((await ask('DELETE', `/lines/runs/${id}`, other)).json()).toMatchObject({ code: 'RUN_NOT_FOUND' });
});

test('a door may answer before it starts its run, also one with media', async () => {
  const { acme } = await opened();
  const speech = { base64: wavFile({ sampleRate: 8_000 }).toString('base64') };
  expect((await ask('POST', '/lines/later', acme, { pipeline: 'listen', input: { speech } })).statusCode).toBe(202);
  await expect.poll(() => gateway.temporal.runs.size).toBe(1);
});

test('a running run is cancelled', async () => {
  const { acme } = await opened();
  gateway.temporal.onStart = () => {};
  const started = (await ask('POST', '/lines/start', acme, { pipeline: 'greet', input: { name: 'x' } })).json();
  expect(started).toMatchObject({ status: 'running' });
  expect((await ask('DELETE', `/lines/runs/${(started as RunDocument).id}`, acme)).statusCode).toBe(202);
  expect(gateway.temporal.sent).toEqual([['cancel']]);
});

test('a door asks for a key, and obeys its permissions and pipelines', async () => {
  const { acme, other, reader } = await opened();
  expect((await ask('GET', '/lines/mine')).json()).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect((await ask('GET', '/lines/mine', acme)).json()).toEqual({
    tenant: 'acme',
    pipelines: ['listen', 'compare', 'greet'],
  });
  expect((await ask('GET', '/lines/mine', other)).json()).toEqual({ tenant: 'other', pipelines: ['greet'] });
  const foreign = await ask('POST', '/lines/start', other, { pipeline: 'listen', input: {} });
  expect(foreign.json()).toMatchObject({ status: 404, code: 'PIPELINE_NOT_FOUND' });
  expect((await ask('POST', '/lines/say', reader, 'greet x')).json()).toMatchObject({ code: 'FORBIDDEN' });
  // Also where the route itself needs less than what it does.
  expect((await ask('GET', '/lines/sneaky', reader)).json()).toMatchObject({ code: 'FORBIDDEN' });
  expect(gateway.temporal.runs.size).toBe(0);
});

test('bodies are bounded, and mistakes answered as at the other doors', async () => {
  const { acme } = await opened();
  for (const payload of ['x'.repeat(100_001), { name: 'x'.repeat(100_001) }]) {
    const { statusCode, body } = await ask('POST', '/lines/start', acme, payload);
    expect([statusCode, body]).toEqual([413, expect.stringContaining('BODY_TOO_LARGE')]);
  }
  const wrong = await ask('POST', '/lines/start', acme, { pipeline: 'greet', input: { nam: 'x' } });
  expect(wrong.json()).toMatchObject({ status: 422, code: 'INVALID_INPUT', errors: [{ field: 'nam' }] });
  expect((await ask('POST', '/lines/nowhere', acme, 'x')).json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  expect((await ask('GET', '/lines/say', acme)).json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED' });
});

test('a prefix in use, a malformed one and an open route are refused when the gateway starts', async () => {
  await opened();
  const refusal = (door: Partial<Door>) => testGateway({}, { doors: [lines, { ...lines, ...door }] });
  await expect(refusal({ prefix: '/v1/slack' })).rejects.toMatchObject({
    code: 'INVALID_SETTING',
    message: 'the door /v1/slack: is in use: /v1 is another door’s',
  });
  await expect(refusal({ prefix: '/lines' })).rejects.toThrow('the door /lines: is in use');
  await expect(refusal({ prefix: 'Slack' })).rejects.toThrow('the door Slack: must be a path such as "/slack"');
  const open: Door['routes'] = (app) => app.get('/all', { config: { open: true } }, () => 'x') && undefined;
  await expect(refusal({ prefix: '/open', routes: open })).rejects.toThrow('the route /open/all is open');
});
