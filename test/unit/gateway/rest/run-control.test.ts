import { CancelledFailure } from '@temporalio/common';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import type { Problem } from '../../../../pipelines/run/document.js';
import type { RunDocument } from '../../../../runs/document.js';
import { grpcError } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { nonceOf, waitFor } from '../../../support/waits.js';

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
      const response = await post(what, { ...(what !== 'cancel' && { nonce: 'any' }) }, { 'millrace-tenant': 'other' });
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
  const nonce = nonceOf('sign-off');

  test('is handed to the run, with the nonce of the wait', async () => {
    gateway.temporal.waitAt(['sign-off']);
    expect((await post('approve', { nonce, by: 'ada' })).statusCode).toBe(202);
    expect(gateway.temporal.sent).toEqual([['decide', { nonce, approved: true, by: 'ada' }]]);
  });

  test('is signed by the key that was shown, whatever name it carries', async () => {
    const { secret, key } = issueKey({ name: 'desk', tenant: 'default', permissions: ['approve', 'read'] });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
    const guarded = await testGateway({}, { authenticator, temporal: gateway.temporal.client });
    gateway.temporal.waitAt(['sign-off']);
    const decide = (payload: object, headers: Record<string, string> = {}) =>
      guarded.app.inject({
        method: 'POST',
        url: `/v1/runs/${id}/approve`,
        headers: { authorization: `Bearer ${secret}`, ...headers },
        payload,
      });
    expect((await decide({ nonce, by: 'the boss' }, { 'millrace-user': 'the-boss' })).statusCode).toBe(202);
    expect(gateway.temporal.sent).toEqual([
      ['decide', { nonce, approved: true, by: 'the boss', actor: `key:${key.id}` }],
    ]);
    expect(codeOf(await decide({ nonce, actor: 'key:another' }))).toBe('INVALID_INPUT');
    expect(codeOf(await decide({ nonce, by: 'timeout' }))).toBe('INVALID_INPUT');
    expect(gateway.temporal.sent).toHaveLength(1);
    await guarded.close();
  });

  test('without a nonce is refused, and says where to find it', async () => {
    gateway.temporal.waitAt(['sign-off']);
    for (const body of [undefined, {}, { stage: 'sign-off' }]) {
      const response = await post('approve', body);
      const problem = response.json<Problem>();
      expect([response.statusCode, problem.code, problem.errors?.[0]?.field]).toEqual([422, 'INVALID_INPUT', 'nonce']);
      expect(problem.detail).toContain('see `waiting` of GET /v1/runs/{id}');
    }
    expect(gateway.temporal.sent).toEqual([]);
  });

  test('whose arguments are nested too deeply is refused by name', async () => {
    gateway.temporal.waitAt(['sign-off']);
    const levels = 40_000;
    const deep = `{"nonce": "${nonce}", "arguments": {"a": ${'['.repeat(levels)}${']'.repeat(levels)}}}`;
    const response = await post('approve', deep);
    expect([response.statusCode, codeOf(response)]).toEqual([422, 'INVALID_INPUT']);
    expect(response.json<Problem>().errors).toEqual([
      { field: 'arguments', message: 'is nested more than 64 levels deep' },
    ]);
    expect(gateway.temporal.sent).toEqual([]);
  });

  test('that comes second is ALREADY_DECIDED, also where both come at once', async () => {
    gateway.temporal.waitAt(['sign-off']);
    const both = await Promise.all([post('approve', { nonce, by: 'ada' }), post('reject', { nonce, by: 'bob' })]);
    expect(both.map(({ statusCode }) => statusCode)).toEqual([202, 409]);
    expect(both[1]?.json<Problem>()).toMatchObject({ code: 'ALREADY_DECIDED' });
    expect(both[1]?.json<Problem>().detail).toContain('approved by ada');
    expect(codeOf(await post('approve', { nonce, by: 'bob' }))).toBe('ALREADY_DECIDED');
  });

  test('that comes again is answered as the first time', async () => {
    gateway.temporal.waitAt(['sign-off']);
    for (let i = 0; i < 2; i++) expect((await post('reject', { nonce, by: 'ada' })).statusCode).toBe(202);
  });

  test('of a wait whose time is over has no effect', async () => {
    gateway.temporal.waitAt(['sign-off']);
    gateway.temporal.waits?.end(nonce);
    expect(codeOf(await post('approve', { nonce }))).toBe('ALREADY_DECIDED');
  });

  test('that names another path than its wait has decides nothing', async () => {
    gateway.temporal.waitAt(['sign-off', 'other']);
    expect(codeOf(await post('approve', { nonce, stage: 'other' }))).toBe('NOT_WAITING');
    expect((await post('approve', { nonce, stage: 'sign-off' })).statusCode).toBe(202);
  });

  test('reaches the child run that waits, and the child of a child', async () => {
    gateway.temporal.waitAt(['sign-off']);
    gateway.temporal.waitAt(['review'], `${id}/apart`);
    gateway.temporal.waitAt([], `${id}/items[1]/apart`);
    gateway.temporal.waitAt(['review'], `${id}/items[1]/apart/deeper`);
    const unknown = await post('approve', { nonce: 'none' });
    expect(unknown.json<Problem>().detail).toContain('sign-off, apart/review, items[1]/apart/deeper/review');
    const stage = 'apart/other';
    expect(codeOf(await post('approve', { nonce: nonceOf('review', `${id}/apart`), stage }))).toBe('NOT_WAITING');
    for (const child of [`${id}/items[1]/apart/deeper`, `${id}/apart`])
      expect((await post('approve', { nonce: nonceOf('review', child) })).statusCode).toBe(202);
    expect((await post('approve', { nonce })).statusCode).toBe(202);
    expect(gateway.temporal.sentTo).toEqual([`${id}/items[1]/apart/deeper`, `${id}/apart`, id]);
  });

  test('names the stage where there are many child runs', async () => {
    for (let i = 0; i < 33; i++) gateway.temporal.waitAt(['review'], `${id}/items[${i}]/apart`);
    const one = { nonce: nonceOf('review', `${id}/items[7]/apart`) };
    const unnamed = (await post('approve', one)).json<Problem>();
    expect([unnamed.code, unnamed.errors?.[0]?.field]).toEqual(['INVALID_INPUT', 'stage']);
    expect((await post('approve', { ...one, stage: 'items[7]/apart/review' })).statusCode).toBe(202);
    expect(gateway.temporal.sentTo).toEqual([`${id}/items[7]/apart`]);
  });

  test('that nothing waits for is NOT_WAITING, which says what waits', async () => {
    expect(codeOf(await post('approve', { nonce }))).toBe('NOT_WAITING');
    gateway.temporal.waitAt(['sign-off']);
    const response = await post('approve', { nonce: 'none' });
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'NOT_WAITING']);
    expect(response.json<Problem>().detail).toContain('open waits: sign-off');
  });

  test('of a run that has ended is RUN_ENDED', async () => {
    gateway.temporal.only().end({ output: {}, stages: [] });
    expect(codeOf(await post('approve', { nonce }))).toBe('RUN_ENDED');
  });

  test('waits for a worker, but not for ever, and says that it may have been taken', async () => {
    gateway.temporal.waits = undefined;
    const response = await post('approve', { nonce });
    expect([response.statusCode, codeOf(response)]).toEqual([503, 'ORCHESTRATOR_UNAVAILABLE']);
    expect(response.json<Problem>().detail).toContain('send the same one again');
  });

  test.each<[object | string, string, string]>([
    [{ nonce, stage: '' }, 'INVALID_INPUT', 'stage'],
    [{ nonce: '' }, 'INVALID_INPUT', 'nonce'],
    [{ nonce: 7 }, 'INVALID_INPUT', 'nonce'],
    [{ nonce: 'x'.repeat(101) }, 'INVALID_INPUT', 'nonce'],
    [{ nonce, by: 'x'.repeat(201) }, 'INVALID_INPUT', 'by'],
    [{ nonce, by: 7 }, 'INVALID_INPUT', 'by'],
    [{ nonce, approved: true }, 'INVALID_INPUT', 'approved'],
    [[], 'INVALID_INPUT', 'body'],
    ['{', 'INVALID_JSON', 'body'],
    [{ nonce, reason: 'x'.repeat(2_001) }, 'INVALID_INPUT', 'reason'],
    [{ nonce, scope: 'tenant' }, 'INVALID_INPUT', 'scope'],
    [{ nonce, arguments: 'A1' }, 'INVALID_INPUT', 'arguments'],
    [{ by: 'x'.repeat(100_000) }, 'BODY_TOO_LARGE', 'body'],
  ])('%o is refused', async (payload, code, field) => {
    gateway.temporal.waitAt(['sign-off']);
    const problem = (await post('approve', payload)).json<Problem>();
    expect([problem.code, problem.errors?.[0]?.field]).toEqual([code, field]);
    expect(gateway.temporal.sent).toEqual([]);
  });

  test('is on what the run shows', async () => {
    gateway.temporal.stages = [
      { stage: 'sign-off', kind: 'approve', connector: '', model: 'person', device: '', status: 'running' },
    ];
    gateway.temporal.waitAt(['sign-off']);
    gateway.temporal.waitAt(['review'], `${id}/apart`);
    const { waiting } = (await gateway.app.inject({ url: `/v1/runs/${id}` })).json<RunDocument>();
    expect(waiting).toEqual([waitFor('sign-off'), { ...waitFor('review', `${id}/apart`), path: 'apart/review' }]);
  });
});
