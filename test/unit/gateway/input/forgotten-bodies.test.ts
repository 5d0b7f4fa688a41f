import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MOST_INPUT_BYTES } from '../../../../gateway/input/body-budget.js';
import { chatModel, embedModel, speakModel } from '../../../../pipelines/catalog/index.js';
import { generate, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import { sessionsInMemory } from '../../../support/sessions-in-memory.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';

const paint = pipeline('paint', { input: z.object({ prompt: z.string() }) }, ({ input, stage }) => ({
  images: stage('paint', generate({ model: 'painter', makes: 'image' }), input).images,
}));
const pipelines = [chatModel, embedModel, speakModel, paint, greet] as unknown as Pipeline[];

let gateway: TestGateway;
let sessions: ReturnType<typeof sessionsInMemory>;
beforeEach(async () => {
  sessions = sessionsInMemory();
  const parts = { pipelines, placementOf: () => ({}), sessions };
  gateway = await testGateway({ maxJsonBytes: 8 * 1024 * 1024 }, parts);
});
afterEach(() => gateway.close());

/** Longer than any input. */
const LONG = 4 * 1024 * 1024;
const messages = [{ role: 'user', content: 'Why?' }];

/** How much of bodies is counted. */
const bytesHeld = async (): Promise<number> =>
  (await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get())?.values[0]?.value ?? 0;
const post = (url: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  gateway.app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(body).padEnd(LONG),
  });
/** Ends all runs, so that the request is answered. */
const endAll = () => {
  for (const run of gateway.temporal.runs.values()) run.end({ output: { text: 'So.' }, stages: [] });
};

it.each([
  ['/v1/chat/completions', { messages }],
  ['/v1/chat/completions', { messages, stream: true }],
  ['/v1/responses', { input: 'Why?' }],
  ['/v1/messages', { messages, max_tokens: 9 }],
  ['/v1/agui/chat', { threadId: 't', runId: 'r', messages: [{ id: 'm', ...messages[0] }] }],
  ['/v1/embeddings', { model: 'embed', input: ['Why?', 'So.'] }],
  ['/v1/images/generations', { model: 'paint', prompt: 'A mill' }],
  ['/v1/audio/speech', { model: 'speak', input: 'So.', response_format: 'wav' }],
])('a body is not held while its run is waited for: %s', async (url, body) => {
  const payload = JSON.stringify({ model: 'chat', ...body }).padEnd(LONG);
  const headers = { 'content-type': 'application/json' };
  const answered = gateway.app.inject({ method: 'POST', url, headers, payload });
  await expect.poll(() => gateway.temporal.runs.size).toBe(1);
  const held = await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get();
  expect(held?.values[0]?.value).toBeGreaterThan(0);
  expect(held?.values[0]?.value).toBeLessThanOrEqual(MOST_INPUT_BYTES);
  gateway.temporal.only().end({ output: { text: 'So.', embeddings: [[1], [2]] }, stages: [] });
  await answered;
});

describe('nor is that of a message of A2A:', () => {
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'Why?' }] };

  it.each(['SendMessage', 'SendStreamingMessage'])('%s', async (method) => {
    const rpc = { jsonrpc: '2.0', id: 1, method, params: { message } };
    const answered = post('/a2a/chat', rpc, { 'a2a-version': '1.0' });
    await expect.poll(() => gateway.temporal.runs.size).toBe(1);
    await expect.poll(bytesHeld).toBeLessThanOrEqual(MOST_INPUT_BYTES);
    expect(await bytesHeld()).toBeGreaterThan(0);
    endAll();
    expect((await answered).body).toContain('So.');
  });
});

describe('nor are those of calls of MCP:', () => {
  const accept = { accept: 'application/json, text/event-stream' };
  const call = (id: number, more: object = {}) => ({
    ...{ jsonrpc: '2.0', id, method: 'tools/call' },
    params: { name: 'greet', arguments: { name: 'Ada'.repeat(500_000) }, ...more },
  });
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const modern = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'greet' };

  it.each<[string, unknown, number, Readonly<Record<string, string>>]>([
    ['one', call(1), 1, {}],
    ['one of version 2026-07-28', call(1, { _meta }), 1, modern],
    ['a batch', [call(1), call(2)], 2, {}],
  ])('%s', async (_, body, runs, headers) => {
    const answered = post('/mcp', body, { ...accept, ...headers });
    await expect.poll(() => gateway.temporal.runs.size).toBe(runs);
    // And some bytes of what the SDK holds of the messages.
    await expect.poll(bytesHeld).toBeLessThanOrEqual(runs * MOST_INPUT_BYTES + 10_000);
    expect(await bytesHeld()).toBeGreaterThan(0);
    endAll();
    expect((await answered).body).toContain('So.');
  });

  it('what a message has beside its arguments stays counted', async () => {
    const beside = 'x'.repeat(1_000_000);
    const answered = post('/mcp', call(1, { _meta: { beside } }), accept);
    await expect.poll(() => gateway.temporal.runs.size).toBe(1);
    await expect.poll(bytesHeld).toBeLessThan(LONG);
    expect(await bytesHeld()).toBeGreaterThan(MOST_INPUT_BYTES + beside.length);
    endAll();
    await answered;
  });
});

it.each([false, true])(
  'nor is that of a response in a conversation, which has got its items: stream %s',
  async (stream) => {
    const begun = await gateway.app.inject({ method: 'POST', url: '/v1/conversations', payload: {} });
    const conversation = begun.json().id as string;
    const answered = post('/v1/responses', { model: 'chat', input: 'Why?', conversation, stream });
    await expect.poll(() => gateway.temporal.runs.size).toBe(1);
    await expect.poll(bytesHeld).toBeLessThanOrEqual(MOST_INPUT_BYTES);
    expect(await bytesHeld()).toBeGreaterThan(0);
    expect(JSON.stringify([...sessions.kept.values()])).toContain('Why?');
    endAll();
    await answered;
  },
);
