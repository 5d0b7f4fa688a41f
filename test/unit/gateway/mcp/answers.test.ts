import { afterEach, expect, it, vi } from 'vitest';
import type { Caller } from '../../../../gateway/access/caller.js';
import { answerWaits } from '../../../../gateway/mcp/task-handlers.js';
import { oldResult } from '../../../../gateway/mcp/task-result.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { owe } from '../../../support/owing.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { waitFor } from '../../../support/waits.js';

let gateway: TestGateway | undefined;
afterEach(() => gateway?.close());

const caller = { tenant: 'default', permissions: ['approve'] } as unknown as Caller;

/** Answers the first wait of a run whose stages no worker has told in time. */
async function answered(worker: 'slow' | 'away') {
  gateway = await testGateway();
  const { app, temporal, deps } = gateway;
  await app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'Ada' } });
  temporal.stages = undefined;
  temporal.waitAt(['sign']);
  const [wait] = temporal.waits?.open ?? [];
  if (worker === 'away') temporal.waits = undefined;
  const nonce = wait?.nonce ?? '';
  const answers = { [nonce]: { action: 'accept', content: { confirm: true } } };
  const { decided } = await answerWaits(deps as never, { caller }, temporal.only().options.workflowId, answers);
  return { decided: [...decided], nonce, sent: temporal.sent };
}

it('an answer is taken although the worker says late what the run waits for', async () => {
  const { decided, nonce, sent } = await answered('slow');
  expect(decided).toEqual([nonce]);
  expect(sent).toMatchObject([['decide', { nonce, approved: true }]]);
});

it('an answer that no worker can take is an error, and never passed over', async () => {
  await expect(answered('away')).rejects.toMatchObject({ code: expect.anything() });
});

it('many answers count as requests of their caller', async () => {
  gateway = await testGateway();
  const { app, temporal, deps } = gateway;
  await app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'Ada' } });
  temporal.waitAt(['sign', 'count', 'pack', 'weigh', 'load', 'send']);
  const open = temporal.waits?.open ?? [];
  const answers = Object.fromEntries(
    open.map(({ nonce }) => [nonce, { action: 'accept', content: { confirm: true } }]),
  );
  const charge = vi.fn(async () => undefined);
  const charged = { ...deps, authenticator: { charge } };
  const { decided } = await answerWaits(charged as never, { caller }, temporal.only().options.workflowId, answers);
  expect(decided.size).toBe(6);
  // Each asks Temporal; four questions are a request, and the first was counted with the answers'.
  expect(charge.mock.calls).toEqual([[caller, 2]]);
});

it('a call that goes on without a decision has read its run once, and one that has decided reads it again', async () => {
  gateway = await testGateway();
  const { app, temporal, deps } = gateway;
  await app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'Ada' } });
  temporal.waitAt(['sign']);
  const [wait] = temporal.waits?.open ?? [];
  const answer = (answers: Record<string, unknown>) =>
    answerWaits(deps as never, { caller }, temporal.only().options.workflowId, answers);
  const accept = { action: 'accept', content: { confirm: true } };
  for (const answers of [{}, { other: accept }]) expect((await answer(answers)).read?.status).toBe('running');
  expect((await answer({ [wait?.nonce ?? '']: accept })).read).toBeUndefined();
});

it('answers to nothing wait like other readings where their sender may decide nothing', async () => {
  gateway = await testGateway();
  const { app, temporal, deps } = gateway;
  await app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'Ada' } });
  owe(deps, 'default', 15);
  const answer = (permissions: string[]) =>
    answerWaits(deps as never, { caller: { ...caller, permissions } as never }, temporal.only().options.workflowId, {
      other: { action: 'accept' },
    });
  await expect(answer(['read'])).rejects.toMatchObject({ code: -32603, data: { 'millrace/code': 'RATE_LIMITED' } });
  await answer(['approve']);
});

it('a client that waits for a task’s result is asked also while no worker says what the run waits for', async () => {
  const event = { type: 'stage.waiting', ...waitFor('sign'), attempt: 1 } as unknown as RunEvent;
  const follow = async function* () {
    yield { id: '1-0', event, json: JSON.stringify(event) };
  };
  gateway = await testGateway({}, { events: { follow } as never });
  const { app, temporal, deps } = gateway;
  await app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'Ada' } });
  temporal.stages = undefined;
  temporal.waits = undefined;
  const { signal } = new AbortController();
  const streams = { take: () => () => undefined };
  const serving = { deps: { ...deps, streams }, caller, closing: signal, session: 'x.elicits', request: { notes: {} } };
  const asked: string[] = [];
  const request = async (id: unknown) => {
    asked.push(String(id));
    temporal.only().end({ output: { text: 'So.' }, stages: [] });
  };
  const task = temporal.only().options.workflowId;
  await oldResult(serving as never, task, { mcpReq: { signal } } as never, request as never);
  expect(asked).toHaveLength(1);
});
