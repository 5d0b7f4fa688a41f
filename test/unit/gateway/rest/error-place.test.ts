import { ApplicationFailure } from '@temporalio/common';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type ApiKey, Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import type { Problem, RunDocument } from '../../../../pipelines/run/document.js';
import { webhookEventOf } from '../../../../runs/webhooks/event.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/* Who gets the place in the author's sources where a function failed. */

let gateway: TestGateway | undefined;
afterEach(() => gateway?.close());

const PLACE = 'pipelines.ts:12:5';

/** The response to a request of this key that waits for a run which fails. */
async function responseTo(permissions: ApiKey['permissions'], accept: string) {
  const { key, secret } = issueKey({ name: 'test', tenant: 'acme', permissions });
  const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
  gateway = await testGateway({}, { authenticator });
  const details = [{ stages: [], stage: 'a', at: PLACE, stack: 'Error: no\n    at f (pipelines.ts:12:5)' }];
  gateway.temporal.onStart = (run) =>
    run.end(ApplicationFailure.create({ type: 'CODE_FAILED', message: 'no', details }));
  return await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/greet/runs',
    headers: { authorization: `Bearer ${secret}`, prefer: 'wait=2', accept },
    payload: { name: 'Ada' },
  });
}

/** The run in it, as JSON. */
async function failedRun(permissions: ApiKey['permissions']): Promise<RunDocument> {
  const response = await responseTo(permissions, 'application/json');
  expect(response.statusCode).toBe(500);
  const { run } = response.json<Problem>();
  return run as RunDocument;
}

/** The run in it, at the end of its events. */
async function failedEvent(permissions: ApiKey['permissions']): Promise<RunDocument> {
  const { body } = await responseTo(permissions, 'text/event-stream');
  return JSON.parse(/^data: (\{.*"status":"failed".*)$/m.exec(body)?.[1] ?? '{}') as RunDocument;
}

test.each([
  ['a document', failedRun],
  ['events', failedEvent],
])('a key with the permission to read gets it, a key that only runs does not, in %s', async (_, failed) => {
  const error = { code: 'CODE_FAILED', message: 'no', stage: 'a' };
  expect((await failed(['run', 'read'])).error).toEqual({ ...error, at: PLACE });
  await gateway?.close();
  expect((await failed(['run'])).error).toEqual(error);
});

test('a webhook does not carry it', async () => {
  const run = await failedRun(['run', 'read']);
  expect(run.error?.at).toBe(PLACE);
  expect(webhookEventOf(run).data.error).toEqual({ code: 'CODE_FAILED', message: 'no', stage: 'a' });
});
