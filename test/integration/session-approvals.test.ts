import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Pipeline } from '../../pipelines/index.js';
import type { Approval, ApprovalPage, RunDocument } from '../../pipelines/run/document.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

/** A person approves a tool for a conversation: later runs of it do not ask, until it is erased. */

const LIMIT_MS = 90_000;
const llm = new ScriptedLlm(({ messages }) => {
  const since = messages.slice(messages.findLastIndex(({ role }) => role === 'user'));
  const told = since.filter(({ role }) => role === 'tool').map(({ content }) => content);
  return told.length > 0 ? { text: told.join() } : { calls: [['pay', { order: 'A1' }]] };
});
const MODULE = 'test/fixtures/till.mjs';
const { till } = (await import('../fixtures/till.mjs' as string)) as { till: Pipeline<never> };

const TENANT = `remembers-${randomUUID().slice(0, 8)}`;
const headers = { 'millrace-tenant': TENANT, 'content-type': 'application/json' };
let served: ServedPipelines;
beforeAll(async () => {
  const more = { MILLRACE_MODELS: await llm.listen(), MILLRACE_PIPELINES: MODULE };
  served = await servePipelines([till], { more });
});
afterAll(async () => {
  await served?.close();
  llm.close();
});

async function call<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T }> {
  const init = {
    method,
    headers: body ? headers : { 'millrace-tenant': TENANT },
    ...(body && { body: JSON.stringify(body) }),
  };
  const response = await fetch(`${served.url}${path}`, init);
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as T };
}
const start = async (session: string) =>
  ((await (await served.post('till', JSON.stringify({ prompt: '?', session }), headers)).json()) as RunDocument).id;
const ended = async (id: string) => {
  const read = async () => (await call<RunDocument>('GET', `/v1/runs/${id}`)).body;
  await expect.poll(async () => (await read()).status, { timeout: LIMIT_MS }).not.toBe('running');
  const run = await read();
  expect([run.status, run.error]).toEqual(['succeeded', undefined]);
  return run;
};
/** The list may be asked for five times a second. */
const waitOf = async (run: string) => {
  let found: Approval | undefined;
  const look = async () => {
    const { approvals = [] } = (await call<Partial<ApprovalPage>>('GET', '/v1/approvals')).body;
    found = approvals.find((wait) => wait.run === run);
    return found?.run;
  };
  await expect.poll(look, { timeout: LIMIT_MS, interval: 400 }).toBe(run);
  return found;
};

test('an approval for the session covers its later runs, with who gave it, and is erased with the conversation', async () => {
  const { body: conversation } = await call<{ id: string }>('POST', '/v1/conversations', {});
  const ask = { model: 'till', input: '?', conversation: conversation.id, background: true };
  const respond = async () => (await call<{ id: string }>('POST', '/v1/responses', ask)).body.id.replace('resp_', '');

  const first = await respond();
  const wait = await waitOf(first);
  expect(wait).toMatchObject({ session: conversation.id, call: { tool: 'pay' } });
  const decision = { nonce: wait?.nonce, by: 'ada', scope: 'session' };
  expect((await call('POST', `/v1/runs/${first}/approve`, decision)).status).toBe(202);
  // Sent again, as a sender does that has not got the response.
  expect((await call('POST', `/v1/runs/${first}/approve`, decision)).status).toBe(202);
  expect((await ended(first)).stages?.[0]?.decisions).toMatchObject([{ by: 'ada', scope: 'session' }]);

  const second = await respond();
  const covered = await ended(second);
  expect(covered.output).toMatchObject({ toolCalls: [{ name: 'pay', end: 'done', result: 'A1 is paid' }] });
  expect(covered.stages?.[0]?.decisions).toMatchObject([
    { by: 'ada', approved: true, tool: 'pay', grantedAt: expect.stringMatching(/^20.*Z$/) },
  ]);
  const events = await (await fetch(`${served.url}/v1/runs/${second}/events`, { headers })).text();
  expect(events).not.toContain('event: stage.waiting\n');
  expect(events).toMatch(/event: stage\.decided\ndata: \{[^\n]*"grantedAt"/);

  // The session of another conversation, and that of this one once it is erased.
  const other = await start(randomUUID());
  await waitOf(other);
  expect((await call('DELETE', `/v1/conversations/${conversation.id}`)).status).toBe(200);
  const after = await start(conversation.id);
  await waitOf(after);
  for (const run of [other, after]) expect((await call('POST', `/v1/runs/${run}/cancel`)).status).toBe(202);
});

test('the caller erases a session that is no conversation’s, with its approvals', async () => {
  const session = `visit ${randomUUID()}`;
  const first = await start(session);
  const { nonce } = (await waitOf(first)) ?? {};
  expect((await call('POST', `/v1/runs/${first}/approve`, { nonce, scope: 'session' })).status).toBe(202);
  await ended(first);
  await ended(await start(session));
  const path = `/v1/pipelines/till/sessions/${encodeURIComponent(session)}`;
  expect((await call('DELETE', path)).status).toBe(204);
  const after = await start(session);
  await waitOf(after);
  expect((await call('POST', `/v1/runs/${after}/cancel`)).status).toBe(202);
});

test('an approval for the session of an agent in none is refused, and the wait stays open', async () => {
  const { id } = (await (await served.post('till', '{"prompt":"?"}', headers)).json()) as RunDocument;
  const { nonce } = (await waitOf(id)) ?? {};
  const refused = await call<{ code: string; detail: string }>('POST', `/v1/runs/${id}/approve`, {
    ...{ nonce, by: 'ada', scope: 'session' },
  });
  expect([refused.status, refused.body.code]).toEqual([422, 'INVALID_INPUT']);
  expect(refused.body.detail).toContain('in no session');
  expect((await call('POST', `/v1/runs/${id}/approve`, { nonce, by: 'ada' })).status).toBe(202);
  expect((await ended(id)).output).toMatchObject({ text: 'A1 is paid' });
});
