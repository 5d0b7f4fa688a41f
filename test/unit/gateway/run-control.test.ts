import { CancelledFailure } from '@temporalio/common';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing, type Problem, type RunDocument } from '../../../gateway/index.js';
import { grpcError } from '../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';

let gateway: TestGateway;
let id: string;
beforeEach(async () => {
  gateway = await testGateway();
  const payload = { name: 'Ada' };
  id = (await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload })).json<RunDocument>().id;
});
afterEach(() => gateway.close());

const post = (what: string, payload?: object | string, headers: Record<string, string> = {}) =>
  gateway.app.inject({
    method: 'POST',
    url: `/v1/runs/${id}/${what}`,
    headers: { ...(payload !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(payload !== undefined && { payload }),
  });
const codeOf = (response: { json<T>(): T }) => response.json<Problem>().code;

describe('cancel', () => {
  test('reaches Temporal and answers with the run', async () => {
    const response = await post('cancel');
    expect(response.statusCode).toBe(202);
    expect(response.json<RunDocument>()).toMatchObject({ id, status: 'running' });
    expect(gateway.temporal.sent).toEqual([['cancel']]);
  });

  test('of a run that has ended is RUN_ENDED', async () => {
    gateway.temporal.only().end(new CancelledFailure('cancelled'));
    const response = await post('cancel');
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_ENDED']);
  });

  test('of a run that ends at that moment is RUN_ENDED as well', async () => {
    const { client } = gateway.temporal;
    const handle = client.workflow.getHandle(id);
    client.workflow.getHandle = (() => ({
      ...handle,
      async describe() {
        const seen = await handle.describe();
        gateway.temporal.only().end({ output: {}, stages: [] });
        return seen;
      },
    })) as never;
    expect(codeOf(await post('cancel'))).toBe('RUN_ENDED');
  });

  test('of another tenant’s run is RUN_NOT_FOUND, and does nothing', async () => {
    for (const what of ['cancel', 'approve', 'reject']) {
      const response = await post(what, undefined, { 'millrace-tenant': 'other' });
      expect([response.statusCode, codeOf(response)]).toEqual([404, 'RUN_NOT_FOUND']);
    }
    expect(gateway.temporal.sent).toEqual([]);
  });

  test('is ORCHESTRATOR_UNAVAILABLE while Temporal is away', async () => {
    gateway.temporal.outage = grpcError(14, 'unavailable');
    const response = await post('cancel');
    expect([response.statusCode, codeOf(response)]).toEqual([503, 'ORCHESTRATOR_UNAVAILABLE']);
  });
});

describe('a decision', () => {
  test('is for the only stage that waits', async () => {
    gateway.temporal.waiting = ['sign-off'];
    expect((await post('approve', { by: 'ada' })).statusCode).toBe(202);
    expect((await post('reject')).statusCode).toBe(202);
    expect(gateway.temporal.sent).toEqual([
      ['approve/sign-off', { approved: true, by: 'ada' }],
      ['approve/sign-off', { approved: false }],
    ]);
  });

  test('is signed by the key that was shown, whatever name it carries', async () => {
    const { secret, key } = issueKey({ name: 'desk', tenant: 'default', permissions: ['approve', 'read'] });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
    const guarded = await testGateway({}, { authenticator, temporal: gateway.temporal.client });
    gateway.temporal.waiting = ['sign-off'];
    const decide = (payload: object, headers: Record<string, string> = {}) =>
      guarded.app.inject({
        method: 'POST',
        url: `/v1/runs/${id}/approve`,
        headers: { authorization: `Bearer ${secret}`, ...headers },
        payload,
      });
    expect((await decide({ by: 'the boss' }, { 'millrace-user': 'the-boss' })).statusCode).toBe(202);
    expect(gateway.temporal.sent).toEqual([
      ['approve/sign-off', { approved: true, by: 'the boss', actor: `key:${key.id}` }],
    ]);
    expect(codeOf(await decide({ actor: 'key:another' }))).toBe('INVALID_INPUT');
    expect(codeOf(await decide({ by: 'timeout' }))).toBe('INVALID_INPUT');
    expect(gateway.temporal.sent).toHaveLength(1);
    await guarded.close();
  });

  test('names the stage where several wait', async () => {
    gateway.temporal.waiting = ['items[0]/review', 'items[1]/review'];
    const unnamed = await post('approve');
    expect([unnamed.statusCode, unnamed.json<Problem>().errors?.[0]?.field]).toEqual([422, 'stage']);
    expect(unnamed.json<Problem>().detail).toContain('items[0]/review, items[1]/review');
    expect((await post('approve', { stage: 'items[1]/review' })).statusCode).toBe(202);
    expect(gateway.temporal.sent).toEqual([['approve/items[1]/review', { approved: true }]]);
  });

  test('reaches the child run that waits, and the child of a child', async () => {
    gateway.temporal.waiting = ['sign-off'];
    gateway.temporal.children.set(`${id}/apart`, ['review']);
    gateway.temporal.children.set(`${id}/items[1]/apart`, []);
    gateway.temporal.children.set(`${id}/items[1]/apart/deeper`, ['review']);
    const unnamed = await post('approve');
    expect(unnamed.json<Problem>().detail).toContain('sign-off, apart/review, items[1]/apart/deeper/review');
    for (const stage of ['items[1]/apart/deeper/review', 'apart/review', 'sign-off'])
      expect((await post('approve', { stage })).statusCode).toBe(202);
    expect(gateway.temporal.sentTo).toEqual([`${id}/items[1]/apart/deeper`, `${id}/apart`, id]);
    expect(gateway.temporal.sent.map(([signal]) => signal)).toEqual([
      'approve/review',
      'approve/review',
      'approve/sign-off',
    ]);
    expect(codeOf(await post('approve', { stage: 'apart/other' }))).toBe('NOT_WAITING');
  });

  test('names the stage where there are many child runs', async () => {
    gateway.temporal.waiting = [];
    for (let i = 0; i < 33; i++) gateway.temporal.children.set(`${id}/items[${i}]/apart`, ['review']);
    const unnamed = (await post('approve')).json<Problem>();
    expect([unnamed.code, unnamed.errors?.[0]?.field]).toEqual(['INVALID_INPUT', 'stage']);
    expect((await post('approve', { stage: 'items[7]/apart/review' })).statusCode).toBe(202);
    expect(gateway.temporal.sentTo).toEqual([`${id}/items[7]/apart`]);
  });

  test('that nothing waits for is NOT_WAITING, which says what waits', async () => {
    gateway.temporal.waiting = [];
    expect(codeOf(await post('approve'))).toBe('NOT_WAITING');
    gateway.temporal.waiting = ['sign-off'];
    const response = await post('approve', { stage: 'review' });
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'NOT_WAITING']);
    expect(response.json<Problem>().detail).toContain('what waits is sign-off');
  });

  test('waits for a worker that can be asked, but not for ever', async () => {
    const response = await post('approve');
    expect([response.statusCode, codeOf(response)]).toEqual([503, 'ORCHESTRATOR_UNAVAILABLE']);
    expect(response.json<Problem>().detail).toContain('worker');
  });

  test.each<[object | string, string, string]>([
    [{ stage: '' }, 'INVALID_INPUT', 'stage'],
    [{ by: 'x'.repeat(201) }, 'INVALID_INPUT', 'by'],
    [{ by: 7 }, 'INVALID_INPUT', 'by'],
    [{ approved: true }, 'INVALID_INPUT', 'approved'],
    [[], 'INVALID_INPUT', 'body'],
    ['{', 'INVALID_JSON', 'body'],
    [{ by: 'x'.repeat(20_000) }, 'BODY_TOO_LARGE', 'body'],
  ])('%o is refused', async (payload, code, field) => {
    gateway.temporal.waiting = ['sign-off'];
    const problem = (await post('approve', payload)).json<Problem>();
    expect([problem.code, problem.errors?.[0]?.field]).toEqual([code, field]);
    expect(gateway.temporal.sent).toEqual([]);
  });
});
