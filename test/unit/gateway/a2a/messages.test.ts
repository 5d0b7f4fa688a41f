import type { AddressInfo } from 'node:net';
import type { Client } from '@a2a-js/sdk/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { GatewayLimits, GatewayParts } from '../../../../gateway/index.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { chat, image, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { a2aClient, messageOf, sent, statesIn, taskAt, textIn, told } from '../../../support/a2a-client.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { nonceOf, waitFor } from '../../../support/waits.js';

/** Messages that are sent again, that do not fit, and streams whose text changes. */

const shows = pipeline(
  'shows',
  { input: z.object({ prompt: z.string(), photo: image().optional(), tone: z.string().optional() }) },
  ({ input, stage }) => ({
    text: stage('answer', chat({ model: 'assistant' }), { prompt: input.prompt }).text,
    photo: input.photo,
  }),
);
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let gateway: TestGateway;
let events: RunEvent[];
let url: string;
let chats: Client;
let shown: Client;

function sessionsInMemory() {
  const kept = new Map<string, { key: string; messages: readonly unknown[] }[]>();
  const nameOf = (name: object) => JSON.stringify(name);
  return {
    load: async (name: object) => {
      const parts = kept.get(nameOf(name)) ?? [];
      return { messages: parts.flatMap(({ messages }) => messages) as never[], parts: parts.length };
    },
    add: async (name: object, part: { key: string; messages: readonly unknown[] }) => {
      const parts = kept.get(nameOf(name)) ?? [];
      if (!parts.some(({ key }) => key === part.key)) kept.set(nameOf(name), [...parts, part]);
    },
    erase: async () => false,
  };
}

async function start(change: Partial<GatewayParts> = {}, limits: Partial<GatewayLimits> = {}) {
  gateway = await testGateway(limits, {
    pipelines: [chatModel, shows, greet] as unknown as Pipeline[],
    placementOf: () => ({}),
    sessions: sessionsInMemory(),
    events: {
      async *follow() {
        for (const [i, event] of events.entries()) yield { id: `1-${i}`, event, json: JSON.stringify(event) };
      },
    },
    ...change,
  });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
}

beforeEach(async () => {
  events = [];
  await start();
  chats = await a2aClient(`${url}/a2a/chat/`);
  shown = await a2aClient(`${url}/a2a/shows/`);
});
afterEach(() => gateway.close());

const why = [{ text: 'Why?' }];
const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};
const inputsGiven = (): JsonObject[] => [...gateway.temporal.runs.values()].map(({ options }) => options.args[0]);
const delta = (text: string, attempt = 1): RunEvent => ({
  ...{ type: 'stage.delta', stage: 'answer', path: 'answer', attempt, text },
});
const begins = (attempt = 1): RunEvent => ({
  ...{ type: 'stage.started', stage: 'answer', path: 'answer', attempt, kind: 'chat', model: 'm' },
});

describe('data beside a text', () => {
  test('has media that the store knows: those of another tenant are refused', async () => {
    answers({ text: 'So.' });
    const sha256 = 'a'.repeat(64);
    const foreign = { uri: `artifact://other/${sha256}`, sha256, mime: 'image/png', bytes: 1 };
    await expect(sent(shown, [...why, { data: { photo: foreign } }])).rejects.toThrow(/ARTIFACT_NOT_FOUND/);
    expect(gateway.temporal.runs.size).toBe(0);
    await sent(shown, [...why, { data: { photo: { base64: PIXEL, mime: 'image/png' } } }]);
    expect(inputsGiven()).toMatchObject([{ prompt: 'Why?', photo: { mime: 'image/png' } }]);
  });

  test('has fields of the input only, and none that the text gives', async () => {
    await expect(sent(shown, [...why, { data: { tune: 'grave' } }])).rejects.toThrow(/unknown field/);
    await expect(sent(shown, [...why, { data: { prompt: 'How?' } }])).rejects.toThrow(/is given by the message/);
    expect(gateway.temporal.runs.size).toBe(0);
  });
});

describe('a message that is sent again', () => {
  test('is the same task, also if a task before it has completed in between', async () => {
    const { contextId } = await sent(chats, why, {}, { returnImmediately: true });
    const second = [[{ text: 'How?' }], { contextId, messageId: 'second' }, { returnImmediately: true }] as const;
    const { id } = await sent(chats, ...second);
    const [first] = gateway.temporal.runs.values();
    first?.end({ output: { text: 'So.' }, stages: [] });
    expect((await sent(chats, ...second)).id).toBe(id);
    await expect(sent(chats, [{ text: 'Who?' }], second[1])).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
  });

  test('is refused in another context', async () => {
    answers({ text: 'So.' });
    const { contextId } = await sent(chats, why, { messageId: 'again' });
    await expect(sent(chats, why, { messageId: 'again', contextId: 'other' })).rejects.toThrow(
      /IDEMPOTENCY_KEY_REUSED/,
    );
    expect((await sent(chats, why, { messageId: 'again', contextId })).contextId).toBe(contextId);
  });

  test('tells what its task waits for, also where the events are gone', async () => {
    gateway.temporal.waitAt(['ask']);
    events = [{ type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent];
    const first = await sent(chats, why, { messageId: 'again' });
    const step = { stage: 'ask', kind: 'approve', connector: '', model: '', device: '', status: 'running' } as const;
    gateway.temporal.stages = [step];
    events = [];
    const task = await sent(chats, why, { messageId: 'again' });
    expect(task).toMatchObject({
      id: first.id,
      status: { state: 'TASK_STATE_INPUT_REQUIRED', message: { parts: [{}, { data: { nonce: nonceOf('ask') } }] } },
    });
    expect(statesIn(await told(chats.sendMessageStream(messageOf(why, { messageId: 'again' }))))).toEqual([
      'INPUT_REQUIRED',
      'INPUT_REQUIRED',
    ]);
  });
});

describe('a stream', () => {
  test('replaces the text of an attempt that another one differs from', async () => {
    answers({ text: 'So it was.' });
    events = [begins(), delta('So it '), delta('is'), begins(2), delta('So it ', 2), delta('was.', 2)];
    const updates = await told(chats.sendMessageStream(messageOf(why)));
    expect(textIn(updates)).toBe('So it was.');
    expect(statesIn(updates)).toEqual(['SUBMITTED', 'WORKING', 'COMPLETED']);
  });
});

test('a wait that has been decided is not told again, also if no worker says so', async () => {
  gateway.temporal.waitAt(['ask']);
  events = [{ type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent];
  const { id } = await sent(chats, why);
  const goes = sent(chats, [{ data: { nonce: nonceOf('ask'), approved: true } }], { taskId: id });
  await expect.poll(() => gateway.temporal.sent).toHaveLength(1);
  gateway.temporal.only().end({ output: { text: 'Ordered.' }, stages: [] });
  expect((await goes).status.state).toBe('TASK_STATE_COMPLETED');
});

test('every response gives its place among the streams back', async () => {
  await gateway.close();
  await start({}, { maxStreamsOfTenant: 1 });
  chats = await a2aClient(`${url}/a2a/chat/`);
  gateway.temporal.waitAt(['ask']);
  events = [{ type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent];
  const of = { messageId: 'again' };
  const { id } = await sent(chats, why, of);
  await expect(sent(chats, why, { ...of, contextId: 'other' })).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
  await expect(sent(chats, [{ text: 'Who?' }], of)).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
  expect(statesIn(await told(chats.sendMessageStream(messageOf(why, of))))).toEqual(['WORKING', 'INPUT_REQUIRED']);
  for await (const _ of chats.resubscribeTask({ tenant: '', id })) break;
  await expect.poll(async () => (await sent(chats, why, of).catch(() => undefined))?.id).toBe(id);
});

test('a run that ends with its caller is cancelled if the caller leaves before it has started', async () => {
  await gateway.close();
  const leaves = new AbortController();
  await start({
    admission: {
      admit: async () => {
        leaves.abort();
        await expect.poll(() => gateway.lines).toMatchObject([{ code: 'REQUEST_ABORTED' }]);
        return () => undefined;
      },
    },
  });
  const params = { message: { messageId: 'm', role: 'ROLE_USER', parts: why } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params });
  const headers = { 'content-type': 'application/json', 'a2a-version': '1.0', 'millrace-on-leave': 'cancel' };
  const { signal } = leaves;
  await fetch(`${url}/a2a/chat`, { method: 'POST', headers, signal, body }).catch(() => undefined);
  await expect.poll(() => gateway.temporal.sent).toEqual([['cancel']]);
});

test('a context goes on from a task whose answer is empty', async () => {
  answers({ text: '' });
  const { contextId } = await sent(chats, why);
  answers({ text: 'So.' });
  expect((await sent(chats, [{ text: 'How?' }], { contextId })).status.state).toBe('TASK_STATE_COMPLETED');
});

test('a task whose medium has expired is shown with its address', async () => {
  const sha256 = 'b'.repeat(64);
  answers({ text: 'So.', photo: { uri: `artifact://default/${sha256}`, sha256, mime: 'image/png', bytes: 10 } });
  const { id } = await sent(shown, why);
  expect((await taskAt(shown, id)).artifacts).toMatchObject([
    { artifactId: 'answer' },
    { artifactId: 'output' },
    { artifactId: 'photo', parts: [{ url: expect.stringContaining('/v1/runs/') }] },
  ]);
});

test('the id of a request is short: each event of a stream repeats it', async () => {
  const asked = async (id: unknown) => {
    const response = await fetch(`${url}/a2a/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id, method: 'GetTask', params: { id: 'none' } }),
    });
    return await response.json();
  };
  expect(await asked('x'.repeat(257))).toMatchObject({ id: null, error: { code: -32600 } });
  expect(await asked('x'.repeat(256))).toMatchObject({ id: 'x'.repeat(256), error: { code: -32001 } });
});

test('types of media are read without their case', async () => {
  answers({ text: 'A dot.' });
  await expect(sent(chats, [...why, { raw: PIXEL, mediaType: 'Image/PNG' }])).resolves.toMatchObject({
    status: { state: 'TASK_STATE_COMPLETED' },
  });
  expect(JSON.stringify(inputsGiven())).toContain('"images":[{');
});
