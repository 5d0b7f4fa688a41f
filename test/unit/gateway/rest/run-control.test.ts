import { CancelledFailure } from '@temporalio/common';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import type { Problem } from '../../../../pipelines/run/document.js';
import { CANCELLED_MEMO, deliveryId, replayId, WEBHOOK_WORKFLOW } from '../../../../pipelines/run/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import { FakeTemporal, grpcError } from '../../../support/fake-temporal.js';
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

describe('erasing', () => {
  const erase = (headers: Record<string, string> = {}) =>
    gateway.app.inject({ method: 'DELETE', url: `/v1/runs/${id}`, headers });

  test('is for runs that have ended', async () => {
    const response = await erase();
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
  });

  test('is not for one whose record a run that resumes it still reads', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.end(new CancelledFailure('cancelled'));
    const next = `${id}-r1`;
    await temporal.client.workflow.start('greet', { ...run.options, workflowId: next } as never);
    const response = await erase();
    expect([response.statusCode, codeOf(response)]).toEqual([409, 'RUN_NOT_ENDED']);
    expect(response.body).toContain(next);
  });

  test('nor for one that is to be resumed by a run that no worker has started yet', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.options.memo.webhooks = [{ url: 'https://receiver.test/' }];
    run.end(new CancelledFailure('cancelled'));
    const delivery = { ...run.options, workflowId: deliveryId(`${id}-r1`) };
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, delivery as never);
    expect(codeOf(await erase())).toBe('RUN_NOT_ENDED');
    const { resumedAs } = (await gateway.app.inject({ url: `/v1/runs/${id}` })).json<RunDocument>();
    expect(resumedAs).toBe(`${id}-r1`);
  });

  test('asks Temporal once for what belongs to the run, as often as the tenant may list runs', async () => {
    const { temporal } = gateway;
    temporal.only().end({ output: {}, stages: [] });
    const asked: string[] = [];
    const deleted: string[] = [];
    const others = [`${id}-r1`, `${id}2/inner`, `${id.toUpperCase()}/inner`, `webhook/${id}2`];
    const executions = [...others, id, `webhook/${id}`, `${id}/inner`].map((workflowId) => ({
      execution: { workflowId, runId: `other-${workflowId}` },
    }));
    const workflowService = {
      listWorkflowExecutions: async ({ query }: { query: string }) => {
        asked.push(query);
        return { executions, nextPageToken: new Uint8Array() };
      },
      deleteWorkflowExecution: async ({ workflowExecution }: { workflowExecution: { workflowId: string } }) =>
        void deleted.push(workflowExecution.workflowId),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    expect((await erase()).statusCode).toBe(204);
    expect(asked).toHaveLength(1);
    // The run itself comes last, and nothing of another run is among them, whatever the answer has.
    expect(deleted).toEqual([`webhook/${id}`, `${id}/inner`, id, id]);
    const more = await Promise.all(Array.from({ length: 60 }, () => erase()));
    const refused = more.filter(({ statusCode }) => statusCode === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(codeOf(refused[0] as (typeof more)[number])).toBe('RATE_LIMITED');
  });

  test('ends what still sends its event: its delivery and a replay of it, also before Temporal’s index shows them', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.end({ output: {}, stages: [] });
    const replay = { execution: { workflowId: `webhook/${id}/replay`, runId: 'replay-1' } };
    const deletedOf = async (executions: object[]) => {
      const deleted: unknown[] = [];
      const workflowService = {
        listWorkflowExecutions: async () => ({ executions, nextPageToken: new Uint8Array() }),
        deleteWorkflowExecution: async (given: { workflowExecution: { workflowId: string; runId?: string } }) =>
          void deleted.push(Object.values(given.workflowExecution).join(' ')),
      };
      Object.assign(temporal.client.workflow, { workflowService });
      expect((await erase()).statusCode).toBe(204);
      return deleted;
    };
    expect(await deletedOf([replay])).toEqual([`webhook/${id}/replay replay-1`, `${id} execution-1`]);
    run.options.memo.webhooks = [{ url: 'https://receiver.test/' }];
    const sends = async (workflowId: string, memo: object) =>
      await temporal.client.workflow.start(WEBHOOK_WORKFLOW, { ...run.options, workflowId, memo } as never);
    await sends(replayId(id), {});
    await sends(deliveryId(id), run.options.memo);
    const [ofReplay, ofDelivery] = await deletedOf([]);
    expect([ofReplay, ofDelivery]).toEqual([
      expect.stringMatching(`^webhook/${id}/replay execution-\\d+$`),
      expect.stringMatching(`^webhook/${id} execution-\\d+$`),
    ]);
  });

  test('leaves a later run with the same id, which another erasure has made room for, and its delivery', async () => {
    const { temporal } = gateway;
    const run = temporal.only();
    run.end({ output: {}, stages: [] });
    run.options.memo.webhooks = [{ url: 'https://receiver.test/' }];
    const later = {
      ...run.options,
      workflowId: deliveryId(id),
      memo: { ...run.options.memo, createdAt: '2099-01-01' },
    };
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, later as never);
    const deleted: string[] = [];
    const listed = [id, deliveryId(id), `${id}/items[1]/child`].map((workflowId) => ({
      execution: { workflowId, runId: 'later' },
      startTime: { seconds: 4_000_000_000, nanos: 0 },
    }));
    const workflowService = {
      listWorkflowExecutions: async () => ({ executions: listed, nextPageToken: new Uint8Array() }),
      deleteWorkflowExecution: async (given: { workflowExecution: { workflowId: string } }) =>
        void deleted.push(given.workflowExecution.workflowId),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    expect((await erase()).statusCode).toBe(204);
    expect(deleted).toEqual([id]);
  });

  test('of a run that was cancelled before it was started removes its delivery, which has its input', async () => {
    const temporal = new FakeTemporal();
    const { options } = gateway.temporal.only();
    const memo = { ...options.memo, [CANCELLED_MEMO]: new Date().toISOString() };
    const delivery = { ...options, workflowId: deliveryId(id), memo };
    await temporal.client.workflow.start(WEBHOOK_WORKFLOW, delivery as never);
    const deleted: unknown[] = [];
    const workflowService = {
      listWorkflowExecutions: async () => ({
        executions: [{ execution: { workflowId: deliveryId(id), runId: 'execution-1' } }],
      }),
      deleteWorkflowExecution: async ({ workflowExecution }: { workflowExecution: object }) =>
        void deleted.push(workflowExecution),
    };
    Object.assign(temporal.client.workflow, { workflowService });
    const own = await testGateway({}, { temporal: temporal.client, webhooks: {} as never });
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect(deleted).toEqual([{ workflowId: deliveryId(id), runId: 'execution-1' }]);
    await own.close();
  });

  test('reaches the journals and channels of the run before any history is gone, and of its child runs', async () => {
    const { client } = gateway.temporal;
    gateway.temporal.only().end({ output: {}, stages: [] });
    const done: string[] = [];
    const executions = [`${id}/inner`, `webhook/${id}`, `${id}/inner`].map((workflowId, i) => ({
      execution: { workflowId, runId: `other-${i}` },
    }));
    const workflowService = {
      listWorkflowExecutions: async () => ({ executions, nextPageToken: new Uint8Array() }),
      deleteWorkflowExecution: async () => void done.push('history'),
    };
    Object.assign(client.workflow, { workflowService });
    const erasure = { erase: async (run: string) => void done.push(run) };
    const own = await testGateway({}, { temporal: client, erasure });
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect(done).toEqual([id, `${id}/inner`, ...Array(4).fill('history')]);
    await own.close();
  });

  test('touches nothing once another erasure has removed the run, and the id has a new one', async () => {
    const { client } = gateway.temporal;
    gateway.temporal.only().end({ output: {}, stages: [] });
    const { getHandle } = client.workflow;
    let asked = 0;
    client.workflow.getHandle = ((workflowId: string) => {
      const handle = getHandle(workflowId);
      const describe = async () => ({
        ...(await handle.describe()),
        ...(workflowId === id && asked++ > 0 && { runId: 'later' }),
      });
      return { ...handle, describe };
    }) as never;
    const done: string[] = [];
    const deleteWorkflowExecution = async () => void done.push('history');
    Object.assign(client.workflow, { workflowService: { deleteWorkflowExecution } });
    const own = await testGateway({}, { temporal: client, erasure: { erase: async (run) => void done.push(run) } });
    expect((await own.app.inject({ method: 'DELETE', url: `/v1/runs/${id}` })).statusCode).toBe(204);
    expect([asked, done]).toEqual([2, []]);
    await own.close();
  });

  test('is not for another tenant’s runs', async () => {
    gateway.temporal.only().end({ output: {}, stages: [] });
    const response = await erase({ 'millrace-tenant': 'other' });
    expect([response.statusCode, codeOf(response)]).toEqual([404, 'RUN_NOT_FOUND']);
  });
});

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
