import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatModel } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { a2aClient, messageOf, sent, statesIn, type TaskJson, taskAt, textIn, told } from '../support/a2a-client.js';
import { caught } from '../support/caught.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

/** The official SDK's client, unchanged, against pipelines on real servers. */

const MODULE = 'test/fixtures/mcp-pipelines.mjs';
const fixtures = (await import('../fixtures/mcp-pipelines.mjs' as string)) as Record<string, Pipeline>;
const { order, seats, slowCompute, endless, audioContent } = fixtures;

let served: ServedPipelines;

beforeAll(async () => {
  const all = [chatModel, order, seats, slowCompute, endless, audioContent] as unknown as Parameters<
    typeof servePipelines
  >[0];
  served = await servePipelines(all, { more: { MILLRACE_PIPELINES: MODULE } });
});
afterAll(() => served.close());

const agent = (pipeline: string) => a2aClient(`${served.url}/a2a/${pipeline}/`);
const capital = [{ text: 'What is the capital of France? Answer in one short sentence.' }];

describe('an agent of A2A', () => {
  it('answers a message, and a second one in the same context', async () => {
    const client = await agent('chat');
    const task = await sent(client, capital);
    expect(task).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ artifactId: 'answer', parts: [{ text: expect.stringContaining('Paris') }] }],
    });
    // Whoever has got the answer finds the task complete.
    expect(await taskAt(client, task.id)).toMatchObject({
      contextId: task.contextId,
      status: { state: 'TASK_STATE_COMPLETED' },
    });
    const second = await sent(client, [{ text: 'And of Italy?' }], { contextId: task.contextId });
    expect(second.contextId).toBe(task.contextId);
    const { input } = await served.get(second.id);
    expect(input).toMatchObject({
      prompt: 'And of Italy?',
      history: [{ role: 'user' }, { role: 'assistant', content: expect.stringContaining('Paris') }],
    });
  });

  it('streams its answer', async () => {
    // A worker that stands still sends several pieces as one.
    const updates = await caught('an answer in pieces', async () => {
      const all = await told((await agent('chat')).sendMessageStream(messageOf(capital)));
      return all.filter((each) => 'artifactUpdate' in each).length > 1 ? all : undefined;
    });
    expect(statesIn(updates)).toEqual(['SUBMITTED', 'WORKING', 'COMPLETED']);
    expect(textIn(updates)).toContain('Paris');
  });

  it.each([
    [true, 'Ordered: tea'],
    [false, 'Not ordered: tea'],
  ])('asks for a decision and goes on with it: %s', async (approved, reply) => {
    const client = await agent('order');
    const updates = await told(client.sendMessageStream(messageOf([{ text: 'tea' }])));
    expect(statesIn(updates).at(-1)).toBe('INPUT_REQUIRED');
    const { statusUpdate } = updates.at(-1) as { statusUpdate: TaskJson & { taskId: string } };
    const asked = statusUpdate.status.message?.parts.find(({ data }) => data)?.data;
    expect(asked).toMatchObject({ subject: 'tea', nonce: expect.any(String) });
    const { taskId, contextId } = statusUpdate;
    expect(await taskAt(client, taskId)).toMatchObject({ status: { state: 'TASK_STATE_INPUT_REQUIRED' } });
    const decision = [{ data: { nonce: asked?.nonce, approved } }];
    const messageId = randomUUID();
    const task = await sent(client, decision, { taskId, contextId, messageId });
    expect(task).toMatchObject({
      id: taskId,
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ artifactId: 'answer', parts: [{ text: reply }] }],
    });
  });

  it('asks by the form of a pipeline, and takes what is filled in', async () => {
    const client = await agent('seats');
    const updates = await told(client.sendMessageStream(messageOf([{ text: 'Ada' }])));
    const { statusUpdate } = updates.at(-1) as { statusUpdate: TaskJson & { taskId: string } };
    const asked = statusUpdate.status.message?.parts.find(({ data }) => data)?.data;
    expect(asked).toMatchObject({ question: { schema: { properties: { seat: { maximum: 6 } } } } });
    const { taskId, contextId } = statusUpdate;
    const answer = [{ data: { nonce: asked?.nonce, approved: true, content: { seat: 4 } } }];
    expect(await sent(client, answer, { taskId, contextId })).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ artifactId: 'answer', parts: [{ text: 'Seat 4' }] }],
    });
  });

  it('goes on without its client, which follows the task again', async () => {
    const client = await agent('slow-compute');
    // It is not over until its client follows it again.
    const until = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-a2a-')), 'followed');
    const work = [{ data: { seconds: 0, label: 'computed', until } }];
    const lost = new AbortController();
    let id = '';
    const stream = client.sendMessageStream(messageOf(work), { signal: lost.signal });
    await told(stream, (json) => {
      id ||= (json as unknown as { task: TaskJson }).task.id;
      lost.abort();
    }).catch(() => undefined);
    expect(id).not.toBe('');
    const updates = await told(client.resubscribeTask({ tenant: '', id }), () => writeFileSync(until, ''));
    expect(statesIn(updates)[0]).toBe('WORKING');
    expect(statesIn(updates).at(-1)).toBe('COMPLETED');
    const { artifactUpdate } = updates.at(-2) as { artifactUpdate: { artifact: object } };
    expect(artifactUpdate.artifact).toMatchObject({ artifactId: 'output', parts: [{ data: { text: 'computed' } }] });
  });

  it('cancels a task', async () => {
    const client = await agent('endless');
    const log = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-a2a-')), 'log');
    const { id } = await sent(client, [{ data: { log } }], {}, { returnImmediately: true });
    await expect.poll(() => existsSync(log), { timeout: 60_000 }).toBe(true);
    const task = await client.cancelTask({ tenant: '', id, metadata: undefined });
    // The gateway waits for the end only so long.
    await expect.poll(async () => (await taskAt(client, task.id)).status.state).toBe('TASK_STATE_CANCELED');
    await expect.poll(() => readFileSync(log, 'utf8'), { timeout: 60_000 }).toContain('stopped');
    await expect(client.cancelTask({ tenant: '', id, metadata: undefined })).rejects.toThrow(/RUN_ENDED/);
  });

  it('ends with a client that leaves where its pipeline says so', async () => {
    const client = await agent('endless');
    const log = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-a2a-')), 'log');
    const lost = new AbortController();
    const stream = client.sendMessageStream(messageOf([{ data: { log } }]), { signal: lost.signal });
    const end = told(stream).catch(() => undefined);
    await expect.poll(() => existsSync(log), { timeout: 60_000 }).toBe(true);
    lost.abort();
    await end;
    await expect.poll(() => readFileSync(log, 'utf8'), { timeout: 60_000 }).toContain('stopped');
  });

  it('gives media as files, and refuses what does not fit by its field', async () => {
    const task = await sent(await agent('test-audio-content'), [{ data: {} }]);
    expect(task.artifacts?.find(({ artifactId }) => artifactId === 'speech')).toMatchObject({
      parts: [{ raw: expect.stringMatching(/^UklGR/), mediaType: 'audio/wav' }],
    });
    await expect(sent(await agent('slow-compute'), [{ data: { seconds: 'four' } }])).rejects.toThrow(/seconds/);
  });
});
