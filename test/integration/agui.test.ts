import { randomUUID } from 'node:crypto';
import { type BaseEvent, HttpAgent } from '@ag-ui/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatModel } from '../../pipelines/catalog/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import { caught } from '../support/caught.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

/** AG-UI's own client, unchanged, against pipelines on real servers. */

const MODULE = 'test/fixtures/mcp-pipelines.mjs';
const { order, seats } = (await import('../fixtures/mcp-pipelines.mjs' as string)) as Record<string, Pipeline>;

let served: ServedPipelines;

beforeAll(async () => {
  const all = [chatModel, order, seats] as unknown as Parameters<typeof servePipelines>[0];
  served = await servePipelines(all, { more: { MILLRACE_PIPELINES: MODULE } });
});
afterAll(() => served.close());

function agentOf(pipeline: string, said: string) {
  const agent = new HttpAgent({ url: `${served.url}/v1/agui/${pipeline}`, threadId: randomUUID() });
  agent.messages = [{ id: '1', role: 'user', content: said }];
  const events: (BaseEvent & Record<string, unknown>)[] = [];
  agent.subscribe({ onEvent: ({ event }) => void events.push(event as never) });
  return { agent, events, last: () => events.at(-1) as Record<string, unknown> };
}

describe('AG-UI', () => {
  it('streams the text of a pipeline and keeps its state', async () => {
    // A worker that stands still sends several pieces as one.
    const { agent, last, newMessages } = await caught('an answer in pieces', async () => {
      const asked = agentOf('chat', 'What is the capital of France? Answer in one short sentence.');
      const { newMessages } = await asked.agent.runAgent();
      const pieces = asked.events.filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT').length;
      return pieces > 1 ? { ...asked, newMessages } : undefined;
    });
    expect(newMessages).toMatchObject([{ role: 'assistant', content: expect.stringContaining('Paris') }]);
    expect(last()).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } });
    const { run, steps } = (agent.state as { millrace: { run: string; steps: object } }).millrace;
    expect(Object.values(steps)).toEqual(['done']);
    // The worker's answer is ahead of the record.
    await expect.poll(async () => (await served.get(run)).status).toBe('succeeded');
  });

  it.each([
    [true, 'Ordered: tea'],
    [false, 'Not ordered: tea'],
  ])('interrupts for a decision, and goes on with it: %s', async (approved, reply) => {
    const { agent, last } = agentOf('order', 'tea');
    await agent.runAgent();
    const { outcome } = last() as { outcome: { interrupts: { id: string; message: string }[] } };
    expect(outcome).toMatchObject({ type: 'interrupt', interrupts: [{ message: 'tea', reason: 'approval' }] });
    const [{ id: interruptId = '' } = {}] = outcome.interrupts;
    const { newMessages } = await agent.runAgent({
      resume: [{ interruptId, status: 'resolved', payload: { approved } }],
    });
    expect(newMessages).toMatchObject([{ role: 'assistant', content: reply }]);
  });

  it('shows the form of a pipeline, and takes what is filled in', async () => {
    const { agent, last } = agentOf('seats', 'Ada');
    await agent.runAgent();
    const { outcome } = last() as { outcome: { interrupts: { id: string }[] } };
    expect(outcome.interrupts).toMatchObject([
      { reason: 'question', responseSchema: { properties: { content: { properties: { seat: { maximum: 6 } } } } } },
    ]);
    const [{ id: interruptId = '' } = {}] = outcome.interrupts;
    const { newMessages } = await agent.runAgent({
      resume: [{ interruptId, status: 'resolved', payload: { approved: true, content: { seat: 4 } } }],
    });
    expect(newMessages).toMatchObject([{ role: 'assistant', content: 'Seat 4' }]);
  });

  it('refuses what is not of this server, by its field', async () => {
    const post = async (more: object) => {
      const body = { threadId: 't', runId: 'r', messages: [{ id: '1', role: 'user', content: 'tea' }], ...more };
      const response = await fetch(`${served.url}/v1/agui/order`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return [response.status, await response.json()];
    };
    const resume = (interruptId: string) => ({ resume: [{ interruptId, status: 'cancelled' }] });
    expect(await post(resume('x'))).toMatchObject([422, { errors: [{ field: 'resume.0.interruptId' }] }]);
    const many = Array.from({ length: 65 }, (_, i) => ({ interruptId: `order-0:1-0:${i}`, status: 'cancelled' }));
    expect(await post({ resume: many })).toMatchObject([422, { errors: [{ field: 'resume' }] }]);
    expect(await post(resume('order-0:1-0:x'))).toMatchObject([404, { code: 'RUN_NOT_FOUND' }]);
    expect(await post({ messages: [{ id: '1', role: 'user', content: [{ type: 'video' }] }] })).toMatchObject([
      422,
      { errors: [{ field: expect.stringMatching(/^messages\.0\.content/) }] },
    ]);
  });
});
