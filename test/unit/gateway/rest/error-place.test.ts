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

/** The run in the response to a request of this key that waits for a run which fails. */
async function failedRun(permissions: ApiKey['permissions']): Promise<RunDocument> {
  const { key, secret } = issueKey({ name: 'test', tenant: 'acme', permissions });
  const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
  gateway = await testGateway({}, { authenticator });
  const details = [{ stages: [], stage: 'a', at: PLACE, stack: 'Error: no\n    at f (pipelines.ts:12:5)' }];
  gateway.temporal.onStart = (run) =>
    run.end(ApplicationFailure.create({ type: 'CODE_FAILED', message: 'no', details }));
  const response = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/greet/runs',
    headers: { authorization: `Bearer ${secret}`, prefer: 'wait=2' },
    payload: { name: 'Ada' },
  });
  expect(response.statusCode).toBe(500);
  const { run } = response.json<Problem>();
  return run as RunDocument;
}

test('a key with the permission to read gets it, a key that only runs does not', async () => {
  const error = { code: 'CODE_FAILED', message: 'no', stage: 'a' };
  expect((await failedRun(['run', 'read'])).error).toEqual({ ...error, at: PLACE });
  await gateway?.close();
  expect((await failedRun(['run'])).error).toEqual(error);
});

test('a webhook does not carry it', async () => {
  const run = await failedRun(['run', 'read']);
  expect(run.error?.at).toBe(PLACE);
  expect(webhookEventOf(run).data.error).toEqual({ code: 'CODE_FAILED', message: 'no', stage: 'a' });
});
