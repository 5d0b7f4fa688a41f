import { CancelledFailure } from '@temporalio/common';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { Permission } from '../../../../gateway/access/permissions.js';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { agent, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { Problem } from '../../../../pipelines/run/document.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { nonceOf } from '../../../support/waits.js';

/* What a key without the permission `read` gets of a run that another key has started. */

const desk = pipeline('desk', { input: z.object({ question: z.string() }) }, ({ input, stage }) => ({
  reply: stage('answer', agent({ model: 'assistant' }), { prompt: input.question }).text,
}));

const issued = (name: string, ...permissions: Permission[]) => issueKey({ name, tenant: 'default', permissions });
const [owner, runner, desks] = [issued('owner', 'run', 'read'), issued('runner', 'run'), issued('desk', 'approve')];
const reader = issued('reader', 'read');
let gateway: TestGateway;
beforeEach(async () => {
  const keys = keyRing([owner, runner, desks, reader].map(({ key }) => key));
  const authenticator = new Authenticator({ by: 'key', keys }, pino({ level: 'silent' }));
  gateway = await testGateway({}, { authenticator, pipelines: [greet, desk] as Pipeline[] });
});
afterEach(() => gateway.close());

const post = (by: { secret: string }, url: string, payload: object = {}) =>
  gateway.app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${by.secret}` }, payload });
const start = async () => (await post(owner, '/v1/pipelines/greet/runs', { name: 'Ada' })).json<{ id: string }>().id;
const CONTENTS = ['input', 'output', 'stages', 'usage', 'waiting', 'error'];

test('is that it was cancelled, resumed or decided on', async () => {
  const id = await start();
  gateway.temporal.stages = [];
  gateway.temporal.waitAt(['sign-off']);
  const answers = [
    await post(desks, `/v1/runs/${id}/approve`, { nonce: nonceOf('sign-off') }),
    await post(runner, `/v1/runs/${id}/cancel`),
  ];
  for (const answer of answers) {
    expect(answer.statusCode).toBe(202);
    const shown = answer.json<object>();
    expect(shown).toMatchObject({ id, status: 'running', links: {} });
    for (const field of CONTENTS) expect(shown, answer.body).not.toHaveProperty(field);
  }
  expect((await post(owner, `/v1/runs/${id}/cancel`)).json()).toMatchObject({ input: { name: 'Ada' } });
});

test('is neither erased, nor replayed, nor taken from the cache by it', async () => {
  const id = await start();
  const asked = { model: 'desk', input: 'Pay!', background: true };
  const response = (await post(owner, '/v1/responses', asked)).json<{ id: string }>();
  gateway.temporal.stages = [];
  const requests = [
    ['DELETE', `/v1/runs/${id}`, 409],
    ['DELETE', `/v1/responses/${response.id}`, 409],
    ['POST', `/v1/runs/${id}/webhooks/replay`, 409],
    ['POST', `/v1/runs/${id}/cache/wrong`, 200],
  ] as const;
  for (const [method, url, owners] of requests) {
    const by = async ({ secret }: { secret: string }) =>
      (await gateway.app.inject({ method, url, headers: { authorization: `Bearer ${secret}` } })).statusCode;
    expect([url, await by(runner), await by(reader), await by(owner)]).toEqual([url, 403, 403, owners]);
  }
});

test('is not what its response has: cancelling one that has ended reads it', async () => {
  const asked = { model: 'desk', input: 'Pay!', metadata: { case: '7' }, background: true };
  const { id } = (await post(owner, '/v1/responses', asked)).json<{ id: string }>();
  // A request that is injected is sent when somebody waits for it.
  const cancelled = Promise.resolve(post(runner, `/v1/responses/${id}/cancel`));
  await expect.poll(() => gateway.temporal.sent).toEqual([['cancel']]);
  gateway.temporal.only().end(new CancelledFailure('cancelled'));
  const { status, metadata } = (await cancelled).json<{ status: string; metadata: object }>();
  expect([status, metadata]).toEqual(['cancelled', {}]);
  const again = await post(runner, `/v1/responses/${id}/cancel`);
  expect([again.statusCode, again.json<{ error: Problem }>().error.code]).toEqual([403, 'FORBIDDEN']);
  const own = await post(owner, `/v1/responses/${id}/cancel`);
  expect(own.json()).toMatchObject({ status: 'cancelled', metadata: { case: '7' } });
});
