import type { AddressInfo } from 'node:net';
import type { Client } from '@a2a-js/sdk/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { V0_3 } from '../../../../gateway/a2a/v0-3.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { a2aClient, messageOf, sent, statesIn, taskAt, textIn, told } from '../../../support/a2a-client.js';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { nonceOf, waitFor } from '../../../support/waits.js';

/** Clients of 0.3 at a gateway whose runs are scripted: the SDK's, and requests written by hand. */

let gateway: TestGateway;
let events: RunEvent[];
let url: string;
let chats: Client;

beforeEach(async () => {
  events = [];
  gateway = await testGateway(
    {},
    {
      pipelines: [chatModel, greet] as unknown as Pipeline[],
      placementOf: () => ({}),
      events: {
        async *follow() {
          for (const [i, event] of events.entries()) yield { id: `1-${i}`, event, json: JSON.stringify(event) };
        },
      },
    },
  );
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
  chats = await a2aClient(`${url}/a2a/chat/`, { version: '0.3' });
});
afterEach(() => gateway.close());

const answers = (text: string) => {
  gateway.temporal.onStart = (run) => run.end({ output: { text }, stages: [] });
};
const why = [{ text: 'Why?' }];
const said = { kind: 'message', messageId: 'm', role: 'user', parts: [{ kind: 'text', text: 'Why?' }] };

async function ask(method: string, params: unknown, headers: object = {}, query = '') {
  const response = await fetch(`${url}/a2a/chat${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'r', method, params }),
  });
  return (await response.json()) as { id: string; result?: Record<string, unknown>; error?: { code: number } };
}

describe('the SDK’s client of 0.3', () => {
  test('is chosen by the card, which has the fields of both versions', async () => {
    expect(chats.protocolVersion).toBe('0.3');
    const cardFor = async (headers: Record<string, string>) =>
      await (await fetch(`${url}/a2a/chat/.well-known/agent-card.json`, { headers })).json();
    expect(await cardFor({})).toMatchObject({
      protocolVersion: '0.3.0',
      url: `${url}/a2a/chat`,
      preferredTransport: 'JSONRPC',
      supportedInterfaces: [{ protocolVersion: '1.0' }, { protocolVersion: '0.3' }],
    });
    expect(await cardFor({ 'a2a-version': '1.0' })).not.toHaveProperty('protocolVersion');
  });

  test('finds the card at its former place too', async () => {
    const cardAt = async (name: string) => await (await fetch(`${url}/a2a/chat/.well-known/${name}`)).json();
    expect(await cardAt('agent.json')).toEqual(await cardAt('agent-card.json'));
  });

  test('gets an answer, and the task again', async () => {
    answers('So.');
    const task = await sent(chats, why);
    expect(task).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ artifactId: 'answer', parts: [{ text: 'So.' }] }],
    });
    expect(await taskAt(chats, task.id)).toMatchObject({ id: task.id, contextId: task.contextId });
    await expect(taskAt(chats, 'chat-none')).rejects.toThrow(/RUN_NOT_FOUND/);
  });

  test('gets a stream', async () => {
    answers('So it is.');
    events = [
      { type: 'stage.started', stage: 'answer', path: 'answer', attempt: 1, kind: 'chat', model: 'm' },
      { type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 1, text: 'So ' },
    ];
    const updates = await told(chats.sendMessageStream(messageOf(why)));
    expect(statesIn(updates)).toEqual(['SUBMITTED', 'WORKING', 'COMPLETED']);
    expect(textIn(updates)).toBe('So it is.');
  });

  test('does not wait where it says so, follows, and cancels', async () => {
    const { id, status } = await sent(chats, why, {}, { returnImmediately: true });
    expect(status.state).toBe('TASK_STATE_WORKING');
    const follows = told(chats.resubscribeTask({ tenant: '', id }), () =>
      gateway.temporal.only().end({ output: { text: 'So.' }, stages: [] }),
    );
    expect(statesIn(await follows)).toEqual(['WORKING', 'COMPLETED']);
    await expect(chats.cancelTask({ tenant: '', id, metadata: undefined })).rejects.toThrow(/RUN_ENDED/);
  });

  test('decides what a task waits for', async () => {
    gateway.temporal.waitAt(['ask']);
    events = [{ type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent];
    const task = await sent(chats, why);
    expect(task.status).toMatchObject({
      state: 'TASK_STATE_INPUT_REQUIRED',
      message: { parts: [{ text: 'it' }, { data: { nonce: nonceOf('ask'), subject: 'it' } }] },
    });
    const step = { stage: 'ask', kind: 'approve', connector: '', model: '', device: '', status: 'running' } as const;
    gateway.temporal.stages = [step];
    const decision = { nonce: nonceOf('ask'), approved: true };
    const goes = sent(chats, [{ data: decision }], { taskId: task.id, contextId: task.contextId });
    await expect.poll(() => gateway.temporal.sent).toMatchObject([['decide', decision]]);
    gateway.temporal.only().end({ output: { text: 'Ordered.' }, stages: [] });
    expect((await goes).status.state).toBe('TASK_STATE_COMPLETED');
  });
});

describe('requests of 0.3', () => {
  test('are those without a version, and those that name it', async () => {
    answers('So.');
    const wanted = { kind: 'task', status: { state: 'completed' }, artifacts: [{ parts: [{ kind: 'text' }] }] };
    const params = { message: said };
    expect((await ask('message/send', params)).result).toMatchObject(wanted);
    expect((await ask('message/send', params, { 'a2a-version': '0.3.0' })).result).toMatchObject(wanted);
    expect((await ask('message/send', params, {}, '?A2A-Version=0.3')).result).toMatchObject(wanted);
    expect(gateway.temporal.runs.size).toBe(1);
  });

  test.each<[string, object, string, number]>([
    ['GetTask', {}, '', -32009],
    ['GetTask', { 'a2a-version': '0.3' }, '', -32601],
    ['message/send', { 'a2a-version': '1.0' }, '', -32601],
    ['tasks/get', { 'a2a-version': '0.2' }, '', -32009],
    ['tasks/get', {}, '?A2A-Version=1.0', -32601],
    ['tasks/get', {}, '', -32001],
    ['tasks/list', {}, '', -32601],
    ['agent/getAuthenticatedExtendedCard', {}, '', -32004],
    ['tasks/pushNotificationConfig/set', {}, '', -32003],
  ])('%s with %o%s is refused', async (method, headers, query, code) => {
    expect((await ask(method, { id: 'chat-none' }, headers, query)).error?.code).toBe(code);
  });

  test.each([
    ['a role', { ...said, role: 'ROLE_USER' }],
    ['a part of 1.0', { ...said, parts: [{ text: 'Why?' }] }],
    ['an unknown kind', { ...said, parts: [{ kind: 'video' }] }],
    ['a file without its type', { ...said, parts: [{ kind: 'file', file: { bytes: 'AAAA' } }] }],
    ['parts that are none', { ...said, parts: 'Why?' }],
    ['no message', null],
  ])('with %s are refused', async (_, message) => {
    expect((await ask('message/send', { message })).error?.code).toBe(-32602);
    expect(gateway.temporal.runs.size).toBe(0);
  });
});

describe('what 0.3 writes', () => {
  const of = { taskId: 't', contextId: 'c' };
  const status = (state: 'TASK_STATE_INPUT_REQUIRED' | 'TASK_STATE_FAILED') => ({
    statusUpdate: { ...of, status: { state, timestamp: '2026-11-27T10:00:00.000Z' } },
  });

  test('says which event is the last of its stream', () => {
    expect(V0_3.eventOf(status('TASK_STATE_FAILED'), false)).toMatchObject({ kind: 'status-update', final: true });
    const asks = status('TASK_STATE_INPUT_REQUIRED');
    expect(V0_3.eventOf(asks, true)).toMatchObject({ status: { state: 'input-required' }, final: true });
    expect(V0_3.eventOf(asks, false)).toMatchObject({ final: false });
  });

  test('has files with their types, and data that are no object in one', () => {
    const parts = [{ url: 'https://a.test/b', mediaType: 'image/png', filename: 'b' }, { raw: 'AAAA' }, { data: [1] }];
    const artifact = { artifactId: 'a', name: 'a', parts };
    expect(V0_3.eventOf({ artifactUpdate: { ...of, artifact, append: false, lastChunk: true } }, false)).toEqual({
      ...{ kind: 'artifact-update', ...of, append: false, lastChunk: true },
      artifact: {
        ...{ artifactId: 'a', name: 'a' },
        parts: [
          { kind: 'file', file: { uri: 'https://a.test/b', mimeType: 'image/png', name: 'b' } },
          { kind: 'file', file: { bytes: 'AAAA' } },
          { kind: 'data', data: { value: [1] }, metadata: { data_part_compat: true } },
        ],
      },
    });
    const message = { ...said, parts: [{ kind: 'data', data: { value: [1] }, metadata: { data_part_compat: true } }] };
    expect(V0_3.paramsOf('SendMessage', { message })).toMatchObject({ message: { parts: [{ data: [1] }] } });
  });
});
