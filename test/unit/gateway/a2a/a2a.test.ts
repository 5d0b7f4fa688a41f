import type { AddressInfo } from 'node:net';
import type { Client } from '@a2a-js/sdk/client';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { chat, image, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { a2aClient, messageOf, sent, statesIn, taskAt, textIn, told } from '../../../support/a2a-client.js';
import { failure } from '../../../support/fake-temporal.js';
import { OidcIssuer } from '../../../support/oidc-issuer.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { tokensOf } from '../../../support/tokens.js';
import { nonceOf, waitFor } from '../../../support/waits.js';

/** The SDK's client, unchanged, at a gateway whose runs are scripted. */

const looks = pipeline(
  'looks',
  { input: z.object({ prompt: z.string(), images: z.array(image()).optional() }) },
  ({ input, stage }) => ({ text: stage('answer', chat({ model: 'assistant' }), { prompt: input.prompt }).text }),
);
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let gateway: TestGateway;
let events: RunEvent[];
let url: string;
let chats: Client;

/** Conversations as the state store keeps them. */
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

async function start(change: Parameters<typeof testGateway>[1] = {}) {
  gateway = await testGateway(
    {},
    {
      pipelines: [chatModel, looks, greet] as unknown as Pipeline[],
      placementOf: () => ({}),
      sessions: sessionsInMemory(),
      events: {
        async *follow() {
          for (const [i, event] of events.entries()) yield { id: `1-${i}`, event, json: JSON.stringify(event) };
        },
      },
      ...change,
    },
  );
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
}

beforeEach(async () => {
  events = [];
  await start();
  chats = await a2aClient(`${url}/a2a/chat/`);
});
afterEach(() => gateway.close());

const answers = (output: JsonObject) => {
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
};
const inputsGiven = (): JsonObject[] => [...gateway.temporal.runs.values()].map(({ options }) => options.args[0]);
const why = [{ text: 'Why?' }];
const text = (words: string): RunEvent => ({
  ...{ type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 1, text: words },
});
const begins: RunEvent = {
  ...{ type: 'stage.started', stage: 'answer', path: 'answer', attempt: 1, kind: 'chat', model: 'm' },
};

/** What a raw request is answered. */
async function ask(method: string, params: unknown, headers: object = {}, pipelineName = 'chat') {
  const response = await fetch(`${url}/a2a/${pipelineName}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }),
  });
  return { status: response.status, ...((await response.json()) as { id: unknown; error: ErrorJson }) };
}
interface ErrorJson {
  readonly code: number;
  readonly message: string;
  readonly data: readonly { readonly reason?: string; readonly fieldViolations?: readonly object[] }[];
}
const messageWith = (parts: readonly object[], more = {}) => ({
  message: { messageId: 'm', role: 'ROLE_USER', parts, ...more },
});

describe('a card', () => {
  test('says what the pipeline takes and gives, and where', async () => {
    const card = await (await fetch(`${url}/a2a/looks/.well-known/agent-card.json`)).json();
    expect(card).toMatchObject({
      name: 'looks',
      supportedInterfaces: [
        { url: `${url}/a2a/looks`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
        { url: `${url}/a2a/looks`, protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
      ],
      capabilities: { streaming: true, pushNotifications: false },
      defaultInputModes: ['text/plain', 'application/json', 'image/*'],
      skills: [{ id: 'looks' }],
    });
    expect(card).not.toHaveProperty('securitySchemes');
    expect(await (await fetch(`${url}/a2a/greet/.well-known/agent-card.json`)).json()).toMatchObject({
      defaultInputModes: ['application/json'],
    });
  });

  test('is shown to keys that may use its pipeline, at the root too if there is a single one', async () => {
    await gateway.close();
    const one = issueKey({ name: 'one', tenant: 'acme', permissions: ['read'], pipelines: ['looks'] });
    const all = issueKey({ name: 'all', tenant: 'acme', permissions: ['read'] });
    const keys = keyRing([one.key, all.key]);
    await start({ authenticator: new Authenticator({ by: 'key', keys }, pino({ level: 'silent' })) });
    const cardAt = async (path: string, secret?: string) => {
      const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
      const response = await fetch(`${url}${path}/.well-known/agent-card.json`, { headers });
      return [response.status, await response.json()];
    };
    expect(await cardAt('/a2a/looks')).toMatchObject([401, { code: 'UNAUTHENTICATED' }]);
    expect(await cardAt('/a2a/chat', one.secret)).toMatchObject([404, { code: 'PIPELINE_NOT_FOUND' }]);
    expect(await cardAt('', one.secret)).toMatchObject([
      200,
      {
        name: 'looks',
        securitySchemes: { key: { httpAuthSecurityScheme: { scheme: 'Bearer' }, type: 'http', scheme: 'Bearer' } },
        security: [{ key: [] }],
      },
    ]);
    expect(await cardAt('', all.secret)).toMatchObject([404, { detail: expect.stringContaining('/a2a/looks/') }]);
    // Who may only read starts nothing.
    const client = await a2aClient(`${url}/a2a/looks/`, { secret: one.secret });
    await expect(sent(client, why)).rejects.toThrow(/FORBIDDEN/);
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test('says whose tokens are accepted, to who has one and to who has a key', async () => {
    await gateway.close();
    const issuer = await OidcIssuer.start();
    const logger = pino({ level: 'silent' });
    const tokens = tokensOf(issuer, logger);
    const { secret, key } = issueKey({ name: 'one', tenant: 'acme', permissions: ['read'] });
    await start({ authenticator: new Authenticator({ by: 'key', keys: keyRing([key]), tokens }, logger) });
    const cardFor = async (bearer: string) => {
      const headers = { authorization: `Bearer ${bearer}` };
      return await (await fetch(`${url}/a2a/looks/.well-known/agent-card.json`, { headers })).json();
    };
    const openIdConnectUrl = `${issuer.url}/.well-known/openid-configuration`;
    const token = { openIdConnectSecurityScheme: { openIdConnectUrl }, type: 'openIdConnect', openIdConnectUrl };
    expect(await cardFor(await issuer.token())).toMatchObject({
      securitySchemes: { token },
      securityRequirements: [{ schemes: { token: { list: [] } } }],
      security: [{ token: [] }],
    });
    expect(await cardFor(secret)).toMatchObject({
      securitySchemes: { key: { type: 'http' }, token },
      security: [{ key: [] }, { token: [] }],
    });
    tokens.close();
    await issuer.close();
  });
});

describe('a message', () => {
  test('is a task that ends with the answer', async () => {
    answers({ text: 'So.', finish: 'stop', toolCalls: [] });
    const task = await sent(chats, why);
    expect(task.status.state).toBe('TASK_STATE_COMPLETED');
    expect(task.artifacts).toMatchObject([{ artifactId: 'answer', parts: [{ text: 'So.', mediaType: 'text/plain' }] }]);
    expect(await taskAt(chats, task.id)).toMatchObject({ id: task.id, contextId: task.contextId });
    expect(inputsGiven()).toMatchObject([{ prompt: 'Why?' }]);
  });

  test('sent again is the same task; with other words it is refused', async () => {
    answers({ text: 'So.' });
    const first = await sent(chats, why, { messageId: 'again' });
    expect(await sent(chats, why, { messageId: 'again' })).toMatchObject({ id: first.id, contextId: first.contextId });
    expect(gateway.temporal.runs.size).toBe(1);
    await expect(sent(chats, [{ text: 'How?' }], { messageId: 'again' })).rejects.toThrow(/IDEMPOTENCY_KEY_REUSED/);
  });

  test('of a context goes on from the last task, also when it is sent again', async () => {
    answers({ text: 'So.' });
    const { contextId } = await sent(chats, why);
    const how = [[{ text: 'How?' }], { contextId, messageId: 'second' }] as const;
    const second = await sent(chats, ...how);
    expect(second.contextId).toBe(contextId);
    const history = [
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: 'So.' },
    ];
    expect(inputsGiven().at(-1)).toMatchObject({ prompt: 'How?', history });
    expect((await sent(chats, ...how)).id).toBe(second.id);
    const third = await sent(chats, [{ text: 'And?' }], { contextId });
    expect(third.id).not.toBe(second.id);
    expect(inputsGiven().at(-1)?.history).toHaveLength(4);
  });

  test('has files as its media and data as further fields', async () => {
    answers({ text: 'A dot.' });
    const client = await a2aClient(`${url}/a2a/looks/`);
    await sent(client, [{ text: 'See' }, { raw: PIXEL, mediaType: 'image/png' }]);
    expect(inputsGiven()).toMatchObject([{ prompt: 'See', images: [{ mime: 'image/png' }] }]);
    await expect(sent(client, [{ text: 'Hear' }, { raw: 'AAAA', mediaType: 'audio/wav' }])).rejects.toThrow(
      /does not take audio/,
    );
  });

  test('of data alone is the input of any pipeline, and its output is data', async () => {
    answers({ name: 'Ada' });
    const client = await a2aClient(`${url}/a2a/greet/`);
    const task = await sent(client, [{ data: { name: 'Ada' } }]);
    expect(task.artifacts).toMatchObject([{ artifactId: 'output', parts: [{ data: { name: 'Ada' } }] }]);
    expect(inputsGiven()).toEqual([{ name: 'Ada' }]);
    await expect(sent(client, why)).rejects.toThrow(/no chat model: send its input as one data part/);
    await expect(sent(client, [{ data: { nam: 'Ada' } }])).rejects.toThrow(/INVALID_INPUT/);
  });

  test('whose sender does not wait is a task at once', async () => {
    const task = await sent(chats, why, {}, { returnImmediately: true });
    expect(task.status.state).toBe('TASK_STATE_WORKING');
    gateway.temporal.only().end(failure('BACKEND_ERROR', 'the server fell over', { stages: [] }));
    const { status } = await taskAt(chats, task.id);
    expect(status).toMatchObject({
      state: 'TASK_STATE_FAILED',
      message: { parts: [{ text: expect.stringMatching(/^BACKEND_ERROR: /) }, { data: { code: 'BACKEND_ERROR' } }] },
    });
  });
});

describe('a stream', () => {
  test('begins with the task, and the answer grows by pieces', async () => {
    answers({ text: 'So it is.' });
    events = [begins, text('So '), text('it ')];
    const updates = await told(chats.sendMessageStream(messageOf(why)));
    expect(statesIn(updates)).toEqual(['SUBMITTED', 'WORKING', 'COMPLETED']);
    expect(textIn(updates)).toBe('So it is.');
    const pieces = updates.flatMap(({ artifactUpdate }) => (artifactUpdate ? [artifactUpdate] : [])) as JsonObject[];
    expect(pieces.map(({ append = false, lastChunk = false }) => [append, lastChunk])).toEqual([
      [false, false],
      [true, false],
      [true, true],
    ]);
  });

  test('of a task that has ended is refused; of one that runs tells it from its beginning', async () => {
    events = [begins, text('So')];
    const { id } = await sent(chats, why, {}, { returnImmediately: true });
    const updates = told(chats.resubscribeTask({ tenant: '', id }), () =>
      gateway.temporal.only().end({ output: { text: 'So.' }, stages: [] }),
    );
    expect(statesIn(await updates)).toEqual(['WORKING', 'COMPLETED']);
    expect(textIn(await updates)).toBe('So.');
    await expect(told(chats.resubscribeTask({ tenant: '', id }))).rejects.toThrow(/RUN_ENDED/);
  });
});

describe('a task that waits for a person', () => {
  const waiting: RunEvent = { type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent;

  test('asks for a decision, which a message to it gives', async () => {
    gateway.temporal.waitAt(['ask']);
    events = [waiting];
    const task = await sent(chats, why);
    expect(task.status).toMatchObject({
      state: 'TASK_STATE_INPUT_REQUIRED',
      message: { parts: [{ text: 'it' }, { data: { nonce: nonceOf('ask'), subject: 'it' } }] },
    });
    const step = { stage: 'ask', kind: 'approve', connector: '', model: '', device: '', status: 'running' } as const;
    gateway.temporal.stages = [step];
    expect(await taskAt(chats, task.id)).toMatchObject({ status: { state: 'TASK_STATE_INPUT_REQUIRED' } });
    const of = { taskId: task.id, contextId: task.contextId };
    await expect(sent(chats, [{ text: 'yes' }], of)).rejects.toThrow(/takes data/);
    await expect(sent(chats, [{ data: { nonce: nonceOf('ask') } }], of)).rejects.toThrow(/approved/);
    await expect(sent(chats, [{ data: { nonce: nonceOf('ask'), approved: true, x: 1 } }], of)).rejects.toThrow(
      /message\.parts\.0\.data\.x/,
    );
    await expect(sent(chats, [{ data: { nonce: 'other', approved: true } }], of)).rejects.toThrow(/NOT_WAITING/);
    const decision = { nonce: nonceOf('ask'), approved: false, reason: 'too dear' };
    await expect(sent(chats, [{ data: decision }], { ...of, contextId: 'other' })).rejects.toThrow(/contextId/);
    const goes = sent(chats, [{ data: decision }], of);
    await expect.poll(() => gateway.temporal.sent).toMatchObject([['decide', decision]]);
    gateway.temporal.only().end({ output: { text: 'Not ordered.' }, stages: [] });
    expect((await goes).status.state).toBe('TASK_STATE_COMPLETED');
    await expect(sent(chats, [{ data: decision }], of)).rejects.toThrow(/RUN_ENDED/);
  });

  test('is told as working to who may not decide', async () => {
    await gateway.close();
    const { key, secret } = issueKey({ name: 'k', tenant: 'acme', permissions: ['read', 'run'] });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
    await start({ authenticator });
    gateway.temporal.waitAt(['ask']);
    events = [waiting];
    const client = await a2aClient(`${url}/a2a/chat/`, { secret });
    const { id, status } = await sent(client, why, {}, { returnImmediately: true });
    expect(status.state).toBe('TASK_STATE_WORKING');
    const decision = [{ data: { nonce: nonceOf('ask'), approved: true } }];
    await expect(sent(client, decision, { taskId: id })).rejects.toThrow(/FORBIDDEN/);
  });
});

describe('errors', () => {
  test('are the protocol’s, with Millrace’s code and the fields in their data', async () => {
    expect(await ask('GetTask', { id: 'chat-none' })).toMatchObject({
      status: 200,
      id: 7,
      error: { code: -32001, data: [{ reason: 'RUN_NOT_FOUND', domain: 'millrace' }, { fieldViolations: [{}] }] },
    });
    expect(await ask('SendMessage', { message: { messageId: 'm', role: 'ROLE_USER', parts: [] } })).toMatchObject({
      error: { code: -32602, data: [{ reason: 'INVALID_INPUT' }, { fieldViolations: [{ field: 'message.parts' }] }] },
    });
    const codes: [string, unknown, number, object?][] = [
      ['SendMessage', messageWith([{ text: 'a', url: 'b' }]), -32602],
      ['SendMessage', messageWith([{ url: 'https://example.com/a.png', mediaType: 'image/png' }]), -32602],
      ['SendMessage', messageWith([{ raw: 'AAAA' }]), -32602],
      ['SendMessage', messageWith(why, { taskId: 'chat-none' }), -32001],
      [
        'SendMessage',
        { ...messageWith(why), configuration: { taskPushNotificationConfig: { url: 'https://a.test/' } } },
        -32003,
      ],
      ['CreateTaskPushNotificationConfig', {}, -32003],
      ['ListTasks', {}, -32004],
      ['message/send', messageWith(why), -32601],
      ['GetTask', { id: 'x' }, -32009, { 'a2a-version': '' }],
      ['GetTask', { id: 'x' }, -32009, { 'a2a-version': '0.2' }],
      ['GetTask', { id: 'x' }, -32001, { 'a2a-version': '1.0.1' }],
    ];
    for (const [method, params, code, headers] of codes)
      expect([method, params, (await ask(method, params, headers)).error.code]).toEqual([method, params, code]);
    expect(await ask('GetTask', { id: 'x' }, {}, 'none')).toMatchObject({ status: 404, error: { code: -32600 } });
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test('of bodies that are no request have no id', async () => {
    const bodyOf = async (body: string) =>
      await (
        await fetch(`${url}/a2a/chat`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
          body,
        })
      ).json();
    expect(await bodyOf('{')).toMatchObject({ id: null, error: { code: -32700 } });
    expect(await bodyOf('[]')).toMatchObject({ id: null, error: { code: -32600 } });
    expect(await bodyOf('{"jsonrpc":"2.0","method":"GetTask"}')).toMatchObject({ id: null, error: { code: -32600 } });
  });

  test('say that a task of another agent is not there, and that one has ended', async () => {
    answers({ text: 'So.' });
    const { id } = await sent(chats, why);
    const other = await a2aClient(`${url}/a2a/looks/`);
    await expect(taskAt(other, id)).rejects.toThrow(/RUN_NOT_FOUND/);
    expect(await ask('CancelTask', { id })).toMatchObject({ error: { code: -32002, data: [{ reason: 'RUN_ENDED' }] } });
  });
});
