import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import type { Problem, RunPage } from '../../../../pipelines/run/document.js';
import type { Caller } from '../../../../runs/caller.js';
import type { ListRequest, RunList } from '../../../../runs/list/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** A list that keeps what it is asked for. */
class RecordedList implements RunList {
  readonly all: [caller: Caller, request: ListRequest][] = [];
  answer: RunPage = { runs: [] };

  async page(...request: [Caller, ListRequest]): Promise<RunPage> {
    this.all.push(request);
    return this.answer;
  }
}

let gateway: TestGateway;
let list: RecordedList;
beforeEach(async () => {
  list = new RecordedList();
  gateway = await testGateway({}, { list });
});
afterEach(() => gateway.close());

describe('GET /v1/runs', () => {
  test('asks for what the query says, as the caller', async () => {
    list.answer = { runs: [], nextCursor: 'next' };
    const headers = { 'millrace-tenant': 'acme' };
    const response = await gateway.app.inject({ url: '/v1/runs?status=failed&limit=3', headers });
    expect([response.statusCode, response.json()]).toEqual([200, { runs: [], nextCursor: 'next' }]);
    expect(list.all).toMatchObject([[{ tenant: 'acme' }, { filters: { status: 'failed' }, limit: 3 }]]);
  });

  test.each([
    ['pipeline', encodeURIComponent('x" OR WorkflowType != "y')],
    ['id', encodeURIComponent("x' OR 'a' = 'a")],
    ['state', 'failed'],
    ['limit', '1000'],
    ['status', 'failed&status=running'],
  ])('refuses %s=%s, naming it, before anybody is asked', async (field, value) => {
    const response = await gateway.app.inject({ url: `/v1/runs?${field}=${value}` });
    expect(response.statusCode).toBe(422);
    expect(response.json<Problem>()).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field }] });
    expect(list.all).toEqual([]);
  });

  test('takes a key that may read', async () => {
    const keys = (['run', 'read'] as const).map((permission) =>
      issueKey({ name: '', tenant: 'acme', permissions: [permission], pipelines: ['greet'] }),
    );
    const authenticator = new Authenticator(
      { by: 'key', keys: keyRing(keys.map(({ key }) => key)) },
      gateway.deps.logger,
    );
    const keyed = await testGateway({}, { list, authenticator });
    const statuses = [];
    for (const { secret } of keys) {
      const headers = { authorization: `Bearer ${secret}` };
      statuses.push((await keyed.app.inject({ url: '/v1/runs', headers })).statusCode);
    }
    await keyed.close();
    expect(statuses).toEqual([403, 200]);
    expect(list.all).toMatchObject([[{ tenant: 'acme', key: { pipelines: ['greet'] } }, {}]]);
  });
});
