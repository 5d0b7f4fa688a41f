import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { a2aConnector } from '../../../../activities/connectors/a2a/index.js';
import type { CallContext } from '../../../../activities/connectors/connector.js';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { a2aAgent, type Pipeline, stageTool } from '../../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { STAGE_KINDS } from '../../../../pipelines/stages/index.js';
import { a2aServer, type Does } from '../../../support/a2a-server.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';
import { nonceOf, waitFor } from '../../../support/waits.js';
import { loopbackServer } from './loopback-server.js';

/** Remote agents: the SDK's server, Millrace's own door, and what neither can be made to say. */

const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

async function agent(does: Does, options?: Parameters<typeof a2aServer>[1]) {
  const server = await a2aServer(does, options);
  closes.push(server.close);
  return server;
}

interface Asking {
  readonly resumeFrom?: Json;
  readonly signal?: AbortSignal;
  readonly options?: JsonObject;
  readonly key?: string;
  readonly idempotencyKey?: string;
}

/** One attempt, with what it has emitted and kept. */
function ask(url: string, input: JsonObject, asking: Asking = {}) {
  const { resumeFrom, signal = AbortSignal.timeout(60_000), options = {}, key, idempotencyKey = 'run/stage' } = asking;
  const connector = a2aConnector();
  const parsed = connector.options?.('a2a').parse(options);
  const backend = connector.connect(url, key, parsed);
  const emitted: unknown[] = [];
  const kept: Json[] = [];
  const context: CallContext = {
    signal,
    audio: {} as CallContext['audio'],
    emit: (chunk) => void emitted.push(chunk),
    checkpoint: (progress) => void kept.push(progress),
    idempotencyKey,
    ...(resumeFrom !== undefined && { resumeFrom }),
  };
  const reply = backend.invoke({ kind: 'a2a', model: 'agent', with: {}, input }, context);
  return { reply: reply.then(({ output }) => output), emitted, kept, backend };
}

const greets: Does = async (task, text) => {
  task.writes([{ text: 'You said ' }]);
  task.writes([{ text }, { data: { length: text.length } }], true);
  task.says('COMPLETED');
};

describe.each([{ streaming: true }, { streaming: false }])('the SDK’s server, %o', (options) => {
  it('gives the texts and the data of a task, which is kept before it ends', async () => {
    const server = await agent(greets, options);
    const { reply, emitted, kept } = ask(server.url, { message: 'hello' });
    const output = await reply;
    expect(output).toMatchObject({ state: 'completed', text: 'You said hello', data: { length: 5 } });
    expect(STAGE_KINDS.a2a.output.safeParse(output).error).toBeUndefined();
    expect(kept).toEqual([{ endpoint: server.url, task: output.task }]);
    if (options.streaming) expect(emitted.join('')).toBe('You said hello');
    expect(server.received[0]?.params).toMatchObject({
      message: { messageId: expect.stringMatching(/^millrace-[0-9a-f]{40}$/), parts: [{ text: 'hello' }] },
    });
  });

  it('gets a message once: a later attempt asks for its task', async () => {
    let end = () => {};
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    const server = await agent(async (task) => {
      await held;
      task.writes([{ text: 'late' }]);
      task.says('COMPLETED');
    }, options);
    const stops = new AbortController();
    const first = ask(server.url, { message: 'hello' }, { signal: stops.signal });
    await expect.poll(() => first.kept.length).toBe(1);
    stops.abort(new HandedOver());
    await expect(first.reply).rejects.toBe(stops.signal.reason);
    const second = ask(server.url, { message: 'hello' }, { resumeFrom: first.kept[0] as Json });
    end();
    expect(await second.reply).toMatchObject({ text: 'late' });
    expect(server.methods().filter((method) => method.startsWith('Send'))).toHaveLength(1);
    expect(server.cancels()).toBe(0);
  });

  it('is told that a call was cancelled', async () => {
    const server = await agent(async () => await new Promise(() => {}), options);
    const stops = new AbortController();
    const { reply, kept } = ask(server.url, { message: 'hello' }, { signal: stops.signal });
    await expect.poll(() => kept.length).toBe(1);
    stops.abort(new Error('the run was cancelled'));
    await expect(reply).rejects.toThrow('the run was cancelled');
    await expect.poll(() => server.methods()).toContain('CancelTask');
  });

  it('may ask for something, and goes on with the answer', async () => {
    const server = await agent(async (task, text) => {
      if (text !== 'Rome') return task.says('INPUT_REQUIRED', 'Where to?');
      task.writes([{ text: 'Booked.' }]);
      task.says('COMPLETED');
    }, options);
    const asked = await ask(server.url, { message: 'Book a trip.' }).reply;
    expect(asked).toMatchObject({ state: 'input-required', text: 'Where to?' });
    const { task, context } = asked as { task: string; context: string };
    expect(
      await ask(server.url, { message: 'Rome', task, context }, { idempotencyKey: 'run/next' }).reply,
    ).toMatchObject({ state: 'completed', text: 'Booked.', task, context });
  });

  it.each([
    ['FAILED', 'BACKEND_REJECTED'],
    ['REJECTED', 'BACKEND_REJECTED'],
    ['CANCELED', 'BACKEND_REJECTED'],
    ['AUTH_REQUIRED', 'BACKEND_UNAUTHORIZED'],
  ])('may end a task as %s', async (state, code) => {
    const server = await agent(async (task) => task.says(state, 'no seats'), options);
    await expect(ask(server.url, { message: 'hello' }).reply).rejects.toMatchObject({
      code,
      message: expect.stringContaining('no seats'),
      // The message is not sent again, also where the pool has another endpoint.
      details: { final: true },
    });
  });
});

it('goes on by questions where a stream breaks off', async () => {
  let end = () => {};
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  const server = await agent(async (task) => {
    await held;
    task.writes([{ text: 'whole' }]);
    task.says('COMPLETED');
  });
  const { reply, kept } = ask(server.url, { message: 'hello' });
  await expect.poll(() => kept.length).toBe(1);
  server.cut();
  end();
  expect(await reply).toMatchObject({ text: 'whole' });
  expect(server.methods().filter((method) => method === 'SendStreamingMessage')).toHaveLength(1);
});

it('never sends a message whose task is gone, or at another endpoint', async () => {
  const server = await agent(greets);
  const gone = ask(server.url, { message: 'hello' }, { resumeFrom: { endpoint: server.url, task: 'gone' } });
  await expect(gone.reply).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
  const other = ask(server.url, { message: 'hello' }, { resumeFrom: { endpoint: 'http://other.test', task: 'gone' } });
  // The agent that is asked in vain is not away.
  await expect(other.reply).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { elsewhere: true } });
  expect(server.methods()).toEqual(['GetTask']);
  await expect(ask(server.url, {}).reply).rejects.toMatchObject({ code: 'INVALID_INPUT' });
});

it('holds what an attempt has left at its endpoint, and nothing else', async () => {
  const server = await agent(greets);
  const { reply, kept, backend } = ask(server.url, { message: 'hello' });
  await reply;
  expect(kept.map((each) => backend.holds?.(each))).toEqual([true]);
  const others: Json[] = [{ endpoint: 'http://other.test', task: 't' }, { endpoint: server.url }, null, 't', [], {}];
  for (const each of others) expect(backend.holds?.(each)).toBe(false);
});

it('is a tool of an agent, whose arguments are the message', () => {
  const travel = stageTool({ name: 'travel', description: 'Books trips', use: a2aAgent({ agent: 'travel' }) });
  expect(travel.plan).toMatchObject({
    ...{ kind: 'a2a', model: 'travel', policy: { retry: { attempts: 3 } } },
    schema: { type: 'object', properties: { message: { type: 'string' }, task: { type: 'string' } } },
  });
});

describe('Millrace’s own door', () => {
  let gateway: TestGateway;
  let events: RunEvent[] = [];
  async function door(): Promise<string> {
    gateway = await testGateway(
      {},
      {
        pipelines: [chatModel] as unknown as Pipeline[],
        placementOf: () => ({}),
        events: toldEvents(() => events),
      },
    );
    closes.push(() => gateway.close());
    await gateway.app.listen({ host: '127.0.0.1', port: 0 });
    return `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}/a2a/chat`;
  }

  it('answers, and a message that comes again is the same task', async () => {
    events = [
      { type: 'stage.started', stage: 'answer', path: 'answer', attempt: 1, kind: 'chat', model: 'm' },
      { type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 1, text: 'So ' },
    ];
    const url = await door();
    gateway.temporal.onStart = (run) => run.end({ output: { text: 'So it is.' }, stages: [] });
    const { reply, emitted } = ask(url, { message: 'Why?' });
    const output = await reply;
    expect(output).toMatchObject({ state: 'completed', text: 'So it is.', data: null });
    expect(emitted.join('')).toBe('So it is.');
    expect((await ask(url, { message: 'Why?' }).reply).task).toBe(output.task);
    expect(gateway.temporal.runs.size).toBe(1);
  });

  it('asks for a decision, which data give', async () => {
    events = [{ type: 'stage.waiting', ...waitFor('ask'), attempt: 1 } as unknown as RunEvent];
    const url = await door();
    gateway.temporal.waitAt(['ask']);
    gateway.temporal.stages = [
      { stage: 'ask', kind: 'approve', connector: '', model: '', device: '', status: 'running' } as const,
    ];
    const asked = await ask(url, { message: 'Order tea.' }).reply;
    expect(asked).toMatchObject({ state: 'input-required', text: 'it', data: { nonce: nonceOf('ask') } });
    const { task, context } = asked as { task: string; context: string };
    const decision = { nonce: nonceOf('ask'), approved: true };
    const decided = ask(url, { data: decision, task, context }, { idempotencyKey: 'run/next' });
    await expect.poll(() => gateway.temporal.sent).toMatchObject([['decide', decision]]);
    gateway.temporal.only().end({ output: { text: 'Ordered.' }, stages: [] });
    expect(await decided.reply).toMatchObject({ state: 'completed', text: 'Ordered.', task });
  });
});

describe('an agent', () => {
  const server = loopbackServer();
  const cardWith = (more: object) => JSON.stringify({ name: 'a', capabilities: {}, ...more });
  const of = (url: string, protocolVersion = '1.0') => ({
    supportedInterfaces: [{ url, protocolBinding: 'JSONRPC', protocolVersion }],
  });

  it.each([
    ['another origin', () => of('https://elsewhere.test/rpc'), /origin https:\/\/elsewhere\.test/],
    ['another version', () => of(`${server.url}/rpc`, '2.0'), /it offers: 2\.0/],
    ['no JSON-RPC', () => ({ supportedInterfaces: [{ url: server.url, protocolBinding: 'GRPC' }] }), /it offers: none/],
  ])('whose card names %s is refused before a message', async (_, card, why) => {
    server.gives(200, cardWith(card()), { 'content-type': 'application/json' });
    await expect(ask(server.url, { message: 'hello' }, { key: 'secret' }).reply).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringMatching(why),
    });
    expect(server.received.map(({ method }) => method)).toEqual(['GET']);
  });

  it('of 0.3 is spoken to in 0.3, with the key of its pool', async () => {
    const task = {
      ...{ kind: 'task', id: 't', contextId: 'c', status: { state: 'completed' } },
      artifacts: [{ artifactId: 'a', parts: [{ kind: 'text', text: 'So.' }] }],
    };
    server.answer = (response, { method }) => {
      const card = cardWith({ protocolVersion: '0.3.0', url: `${server.url}/rpc`, preferredTransport: 'JSONRPC' });
      const body = method === 'GET' ? card : JSON.stringify({ jsonrpc: '2.0', id: 1, result: task });
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    };
    const { reply, kept } = ask(server.url, { message: 'Why?' }, { key: 'secret' });
    expect(await reply).toMatchObject({ state: 'completed', text: 'So.', task: 't', context: 'c' });
    expect(kept).toEqual([{ endpoint: server.url, task: 't' }]);
    const sent = server.received.filter(({ method }) => method === 'POST');
    expect(sent.map(({ headers }) => [headers['a2a-version'], headers.authorization])).toEqual([
      ['0.3', 'Bearer secret'],
      ['0.3', 'Bearer secret'],
    ]);
    expect(JSON.parse(sent[0]?.body ?? '')).toMatchObject({
      method: 'message/send',
      params: {
        message: { role: 'user', parts: [{ kind: 'text', text: 'Why?' }] },
        configuration: { blocking: false },
      },
    });
  });

  const working = (id: string) => ({ id, contextId: 'c', status: { state: 'TASK_STATE_WORKING' } });
  it.each<[string, number, object | string, string]>([
    ['a refusal', 200, { error: { code: -32602, message: 'no' } }, 'BACKEND_REJECTED'],
    ['a fault', 200, { error: { code: -32603, message: 'no' } }, 'BACKEND_ERROR'],
    [
      'a limit',
      200,
      { error: { code: -32000, message: 'no', data: [{ metadata: { retry: 'true' } }] } },
      'BACKEND_OVERLOADED',
    ],
    ['a wrong key', 401, { error: { code: -32600, message: 'no' } }, 'BACKEND_UNAUTHORIZED'],
    ['a rate', 429, '', 'BACKEND_RATE_LIMITED'],
    ['a page', 200, '<html>', 'INVALID_OUTPUT'],
    ['nothing', 200, { result: {} }, 'INVALID_OUTPUT'],
    ['a task without a name', 200, { result: { task: working('') } }, 'INVALID_OUTPUT'],
    ['a task whose name fills heartbeats', 200, { result: { task: working('t'.repeat(2_000)) } }, 'INVALID_OUTPUT'],
    ['a message', 200, { result: { message: { parts: [{ text: 'So.' }], contextId: 'c' } } }, ''],
  ])('may answer with %s', async (_, status, answer, code) => {
    server.answer = (response, { method }) => {
      const body = typeof answer === 'string' ? answer : JSON.stringify({ jsonrpc: '2.0', id: 1, ...answer });
      const isCard = method === 'GET';
      const given = isCard ? cardWith(of(`${server.url}/rpc`)) : body;
      response.writeHead(isCard ? 200 : status, { 'content-type': 'application/json' }).end(given);
    };
    const { reply } = ask(server.url, { message: 'hello' });
    if (code === '')
      expect(await reply).toEqual({ state: 'completed', text: 'So.', data: null, task: '', context: 'c' });
    else await expect(reply).rejects.toMatchObject({ code });
  });

  it('that can be reached no more is not identified by the card that it had', async () => {
    server.gives(200, cardWith(of(`${server.url}/rpc`)), { 'content-type': 'application/json' });
    const backend = a2aConnector().connect(server.url);
    const identified = () => backend.fingerprint('agent', AbortSignal.timeout(110_000));
    expect(await identified()).toMatch(/^[0-9a-f]{16}$/);
    server.gives(502, '');
    await expect(identified()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('without a card is no agent; a probe sends no message', async () => {
    server.gives(404, '');
    await expect(ask(server.url, { message: 'hello' }).reply).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    server.gives(200, cardWith(of(`${server.url}/rpc`)), { 'content-type': 'application/json' });
    const backend = a2aConnector().connect(server.url);
    await backend.probe('agent', 'a2a', AbortSignal.timeout(110_000));
    expect(await backend.fingerprint('agent', AbortSignal.timeout(110_000))).toMatch(/^[0-9a-f]{16}$/);
    expect(server.received.every(({ method }) => method === 'GET')).toBe(true);
  });
});
