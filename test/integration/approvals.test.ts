import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { agent, approve, type Pipeline, pipeline, pipelineTool } from '../../pipelines/index.js';
import type { ApprovalPage, RunPage } from '../../pipelines/run/document.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

/** The waits of a tenant's runs are found without knowing the runs, those of agents' child runs included. */

const LIMIT_MS = 90_000;
const llm = new ScriptedLlm(({ messages }) => {
  const told = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  return told.length > 0 ? { text: told.join() } : { calls: [['review', { order: 'A1' }]] };
});
const review = pipeline(
  'review',
  { input: z.object({ order: z.string() }), description: 'Reviews' },
  ({ input, stage }) => {
    const decision = stage('sign-off', approve({ timeout: '4m' }), { subject: input.order });
    return { approved: decision.approved, reason: decision.reason };
  },
);
const desk = pipeline('desk', { input: z.object({ prompt: z.string() }) }, ({ input, stage }) => ({
  text: stage('answer', agent({ model: 'scripted', tools: [pipelineTool(review)] }), { prompt: input.prompt }).text,
}));
const both = pipeline('both', { input: z.object({ prompt: z.string() }) }, ({ stage }) => ({
  one: stage('one', approve({ timeout: '4m' }), { subject: 'one' }).approved,
  two: stage('two', approve({ timeout: '4m' }), { subject: 'two' }).approved,
}));

const TENANT = `people-${randomUUID().slice(0, 8)}`;
const headers = { 'millrace-tenant': TENANT, 'content-type': 'application/json' };
let served: ServedPipelines;
beforeAll(async () => {
  const more = { MILLRACE_MODELS: await llm.listen() };
  served = await servePipelines([desk, both, review] as unknown as Pipeline<never>[], { more });
});
afterAll(async () => {
  await served?.close();
  llm.close();
});

const get = async <T>(path: string, tenant = TENANT): Promise<T> =>
  (await (await fetch(`${served.url}${path}`, { headers: { 'millrace-tenant': tenant } })).json()) as T;
const start = async (pipeline: string) =>
  ((await (await served.post(pipeline, '{"prompt":"?"}', headers)).json()) as { id: string }).id;
const open = async () => (await get<ApprovalPage>('/v1/approvals')).approvals;

test('several waits of several runs, with what a decision needs; each goes when it is decided', async () => {
  const runs = { desk: await start('desk'), both: await start('both') };
  await expect.poll(async () => (await open()).length, { timeout: LIMIT_MS, interval: 250 }).toBe(3);
  const found = await open();
  expect(found.map(({ run, subject }) => [run, subject]).sort()).toEqual(
    [
      [runs.both, 'one'],
      [runs.both, 'two'],
      [runs.desk, 'A1'],
    ].sort(),
  );
  const nested = found.find(({ run }) => run === runs.desk);
  expect(nested).toMatchObject({
    pipeline: 'desk',
    path: expect.stringMatching(/^answer\/turn-1\/review:.*\/sign-off$/),
  });
  const page = await get<RunPage>('/v1/runs?waiting=true');
  expect(page.runs.map(({ id, waiting }) => [id, waiting?.length]).sort()).toEqual(
    [
      [runs.desk, 1],
      [runs.both, 2],
    ].sort(),
  );
  expect((await get<ApprovalPage>('/v1/approvals', 'stranger')).approvals).toEqual([]);
  for (const { links, nonce } of found) {
    const body = JSON.stringify({ nonce, by: 'ada', reason: 'It is right.' });
    expect((await fetch(`${served.url}${links.approve}`, { method: 'POST', body, headers })).status).toBe(202);
  }
  await expect.poll(async () => await open(), { timeout: LIMIT_MS, interval: 250 }).toEqual([]);
  const ended = async () => (await get<{ output?: object }>(`/v1/runs/${runs.desk}`)).output;
  await expect.poll(ended, { timeout: LIMIT_MS }).toEqual({ text: '{"approved":true,"reason":"It is right."}' });
});

test.each(['chat/completions', 'messages'])(
  'a stream of %s of a run that asks people names the run at once',
  async (route) => {
    const left = new AbortController();
    const response = await fetch(`${served.url}/v1/${route}`, {
      method: 'POST',
      headers,
      body: JSON.stringify({
        model: 'desk',
        messages: [{ role: 'user', content: '?' }],
        stream: true,
        ...(route === 'messages' && { max_tokens: 64 }),
      }),
      signal: left.signal,
    });
    const run = response.headers.get('millrace-run');
    const reader = response.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    // What comes behind it may be read with it where this process stands still.
    expect(first.slice(0, first.indexOf('\n\n') + 2)).toBe(`: millrace-run ${run}\n\n`);
    await expect.poll(async () => (await open()).map((wait) => wait.run), { timeout: LIMIT_MS }).toContain(run);
    left.abort();
  },
);
