import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebhookConfig } from '../../../../activities/webhooks/index.js';
import { Authenticator } from '../../../../gateway/index.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import { grpcError } from '../../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

/** What the store of sessions checks before something is added. */
let refusal: MillraceError | undefined;

function sessionsInMemory() {
  const kept = new Map<string, { key: string; messages: readonly unknown[] }[]>();
  return {
    load: async (name: object, { adds = true } = {}) => {
      if (adds && refusal) throw refusal;
      const parts = kept.get(JSON.stringify(name)) ?? [];
      return { messages: parts.flatMap(({ messages }) => messages) as never[], parts: parts.length };
    },
    add: async (name: object, part: { key: string; messages: readonly unknown[] }) => {
      const parts = kept.get(JSON.stringify(name)) ?? [];
      if (!parts.some(({ key }) => key === part.key)) kept.set(JSON.stringify(name), [...parts, part]);
    },
    erase: async (name: object) => kept.delete(JSON.stringify(name)),
  };
}

let gateway: TestGateway;
/** The runs that Temporal was asked about. */
let described: string[];

async function open(change: Parameters<typeof testGateway>[1] = {}): Promise<void> {
  const pipelines = [chatModel] as unknown as Pipeline[];
  const authenticator = new Authenticator({ by: 'loopback' }, pino({ level: 'silent' }));
  const parts = { pipelines, placementOf: () => ({}), sessions: sessionsInMemory(), authenticator };
  gateway = await testGateway({}, { ...parts, ...change });
}

beforeEach(async () => {
  refusal = undefined;
  await open();
  let n = 0;
  gateway.temporal.onStart = (run) => run.end({ output: { text: `answer ${++n}`, finish: 'stop' }, stages: [] });
  described = [];
  const { client } = gateway.temporal;
  const { getHandle } = client.workflow;
  client.workflow.getHandle = ((id: string) => {
    described.push(id);
    return getHandle(id);
  }) as never;
});
afterEach(() => gateway.close());

interface Item {
  readonly id: string;
  readonly content: readonly { readonly text: string }[];
}
interface Page {
  readonly data: readonly Item[];
  readonly has_more: boolean;
  readonly last_id: string | null;
}

async function send(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, sent: Record<string, string> = {}) {
  const headers = { 'content-type': 'application/json', ...sent };
  const payload = body && { headers, payload: JSON.stringify(body) };
  const response = await gateway.app.inject({ method, url: `/v1/${path}`, ...payload });
  return { status: response.statusCode, body: response.json() as Page & { id: string; error: { code: string } } };
}

const textsOf = ({ data }: Page): string[] => data.map(({ content }) => content.map(({ text }) => text).join(''));

/** A conversation with as many responses. */
async function conversationOf(responses: number): Promise<string> {
  const { id } = (await send('POST', 'conversations', {})).body;
  for (let n = 1; n <= responses; n++) {
    const { status } = await send('POST', 'responses', { model: 'chat', input: `question ${n}`, conversation: id });
    expect(status).toBe(200);
  }
  return id;
}

describe('the items of a conversation', () => {
  test('are read page by page, and no more responses for a page than it needs', async () => {
    const id = await conversationOf(6);
    const whole = (await send('GET', `conversations/${id}/items?limit=100&order=asc`)).body;
    const all = [1, 2, 3, 4, 5, 6].flatMap((n) => [`question ${n}`, `answer ${n}`]);
    expect([textsOf(whole), whole.has_more]).toEqual([all, false]);
    for (const [order, wanted] of [
      ['asc', all],
      ['desc', [...all].reverse()],
    ] as const) {
      const found: string[] = [];
      for (let after = ''; ; ) {
        described = [];
        const page = (await send('GET', `conversations/${id}/items?limit=3&order=${order}${after}`)).body;
        expect(new Set(described).size).toBeLessThanOrEqual(3);
        found.push(...textsOf(page));
        if (!page.has_more) break;
        after = `&after=${page.last_id}`;
      }
      expect(found).toEqual(wanted);
    }
    const last = whole.data.at(-1)?.id;
    described = [];
    expect(await send('GET', `conversations/${id}/items?after=${last}_7`)).toMatchObject({ status: 400 });
    expect(new Set(described).size, 'reads the response that it names, and no other').toBe(1);
    for (const after of ['msg_chat-nobody', 'item_0'])
      expect(await send('GET', `conversations/${id}/items?after=${after}`)).toMatchObject({
        status: 400,
        body: { error: { code: 'INVALID_INPUT', param: 'after' } },
      });
  });

  test('count as requests of the caller where they are read from many responses', async () => {
    const id = await conversationOf(9);
    const charge = vi.spyOn(Authenticator.prototype, 'charge').mockResolvedValue(undefined);
    const page = (await send('GET', `conversations/${id}/items?limit=100`)).body;
    expect(page.data).toHaveLength(18);
    // The first of nine was counted with the request; four count as one.
    const requests = charge.mock.calls.reduce((sum, [, count]) => sum + count, 0);
    expect(requests).toBe(2);
    charge.mockRestore();
  });

  test('are added once, also where their client sends them again because the answer was lost', async () => {
    const { id } = (await send('POST', 'conversations', {})).body;
    const add = async (text: string, sent?: Record<string, string>) => {
      const items = [{ type: 'message', role: 'user', content: text }];
      return (await send('POST', `conversations/${id}/items`, { items }, sent)).body.data.map((item) => item.id);
    };
    const kept = async () => textsOf((await send('GET', `conversations/${id}/items?order=asc`)).body);
    const first = await add('one', { 'x-stainless-retry-count': '0' });
    expect(await add('one', { 'x-stainless-retry-count': '1' })).toEqual(first);
    expect(await kept()).toEqual(['one']);
    // Said twice, it is there twice.
    await add('one', { 'x-stainless-retry-count': '0' });
    const keyed = await add('two', { 'idempotency-key': 'k' });
    await add('three');
    expect(await add('two', { 'idempotency-key': 'k' })).toEqual(keyed);
    expect(await kept()).toEqual(['one', 'one', 'two', 'three']);
  });

  test('are not told while Temporal cannot be asked for them; those of a run that is gone are left out', async () => {
    const id = await conversationOf(2);
    gateway.temporal.outage = grpcError(14, 'unavailable');
    expect(await send('GET', `conversations/${id}/items`)).toMatchObject({
      status: 503,
      body: { error: { code: 'ORCHESTRATOR_UNAVAILABLE' } },
    });
    gateway.temporal.outage = undefined;
    const [first = ''] = gateway.temporal.runs.keys();
    gateway.temporal.runs.delete(first);
    const { body } = await send('GET', `conversations/${id}/items?order=asc`);
    expect(textsOf(body)).toEqual(['question 1', 'question 2', 'answer 2']);
  });
});

describe('a message that is sent twice, each time under a key of its own', () => {
  const goOn = (conversation: string, key: string, more: object = {}) =>
    send('POST', 'responses', { model: 'chat', input: 'continue', conversation, ...more }, { 'idempotency-key': key });
  const inputs = () => [...gateway.temporal.runs.values()].map(({ options: { args } }) => args[0]);

  test('is two turns: the second goes on from the first', async () => {
    const id = await conversationOf(0);
    const [first, second] = [await goOn(id, 'k1'), await goOn(id, 'k2')];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body.id).not.toBe(first.body.id);
    const said = [
      { role: 'user', content: 'continue' },
      { role: 'assistant', content: 'answer 1' },
    ];
    expect(inputs()[1]).toMatchObject({ prompt: 'continue', history: said });
  });

  test('waits for the end of the first', async () => {
    const id = await conversationOf(0);
    const { onStart } = gateway.temporal;
    gateway.temporal.onStart = () => undefined;
    expect((await goOn(id, 'k1', { background: true })).status).toBe(200);
    gateway.temporal.onStart = onStart;
    expect(await goOn(id, 'k2')).toMatchObject({ status: 409, body: { error: { code: 'RUN_NOT_ENDED' } } });
    expect(gateway.temporal.runs.size).toBe(1);
  });

  test('gets the response of its key again, whatever was added to the conversation since', async () => {
    const id = await conversationOf(1);
    const first = await goOn(id, 'k1');
    await goOn(id, 'k2');
    expect(await goOn(id, 'k1')).toMatchObject({ status: 200, body: { id: first.body.id } });
    expect(gateway.temporal.runs.size).toBe(3);
    const { body } = await send('GET', `conversations/${id}/items?order=asc`);
    expect(textsOf(body)).toEqual(['question 1', 'answer 1', 'continue', 'answer 2', 'continue', 'answer 3']);
  });
});

test('a response whose run its delivery has not started yet is there, and its conversation waits for it', async () => {
  await gateway.close();
  const endpoints = { audit: { url: 'https://a.test' } };
  const of = () => ({ secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], endpoints });
  await open({ webhooks: { of } as unknown as WebhookConfig });
  const conversation = await conversationOf(0);
  const asked = { model: 'chat', input: 'Why?', conversation };
  const { body } = await send('POST', 'responses', { ...asked, background: true });
  expect([...gateway.temporal.runs.keys()]).toEqual([expect.stringMatching(/^webhook\//)]);
  const found = await send('GET', `responses/${body.id}`);
  expect(found).toMatchObject({ status: 200, body: { id: body.id, status: 'in_progress' } });
  expect(await send('POST', 'responses', asked)).toMatchObject({
    status: 409,
    body: { error: { code: 'RUN_NOT_ENDED' } },
  });
});

test('a conversation to which nothing can be added is read and erased all the same', async () => {
  const id = await conversationOf(1);
  refusal = new MillraceError('QUOTA_EXCEEDED', 'the conversations of the tenant have reached their limit');
  const asked = { model: 'chat', input: 'And?', conversation: id };
  const items = { items: [{ role: 'user', content: 'And?' }] };
  for (const [path, body] of [
    ['responses', asked],
    [`conversations/${id}/items`, items],
    [`conversations/${id}`, { metadata: { topic: 'rivers' } }],
  ] as const)
    expect(await send('POST', path, body)).toMatchObject({ status: 507, body: { error: { code: 'QUOTA_EXCEEDED' } } });
  expect(gateway.temporal.runs.size).toBe(1);
  expect((await send('GET', `conversations/${id}`)).body.id).toBe(id);
  expect(textsOf((await send('GET', `conversations/${id}/items?order=asc`)).body)).toEqual(['question 1', 'answer 1']);
  expect(await send('DELETE', `conversations/${id}`)).toMatchObject({ status: 200, body: { id } });
  expect(await send('GET', `conversations/${id}`)).toMatchObject({ status: 404 });
});

describe('a response that was sent ahead of Temporal’s record', () => {
  /** Temporal has not recorded the end of a run that has answered. */
  const unrecorded = () => {
    for (const run of gateway.temporal.runs.values())
      Object.assign(run, { status: 'RUNNING', ended: new Promise(() => undefined) });
  };
  const startWith = async (isSent: boolean) => {
    await gateway.close();
    const pipelines = [chatModel] as unknown as Pipeline[];
    const sentResults = { add: async () => undefined, erase: async () => undefined, has: async () => isSent };
    gateway = await testGateway({}, { pipelines, placementOf: () => ({}), sessions: sessionsInMemory(), sentResults });
    gateway.temporal.onStart = (run) => run.end({ output: { text: 'answer', finish: 'stop' }, stages: [] });
  };
  const goOn = (conversation: string) => send('POST', 'responses', { model: 'chat', input: 'And?', conversation });

  test('keeps its conversation for later, and is not said to run', async () => {
    await startWith(true);
    const conversation = await conversationOf(1);
    unrecorded();
    expect(await goOn(conversation)).toMatchObject({
      status: 503,
      body: { error: { code: 'ORCHESTRATOR_UNAVAILABLE' } },
    });
    for (const run of gateway.temporal.runs.values())
      Object.assign(run, { status: 'COMPLETED', ended: Promise.resolve({ output: { text: 'answer' }, stages: [] }) });
    expect((await goOn(conversation)).status).toBe(200);
  });

  test('is not taken for one that runs on, which is said at once', async () => {
    await startWith(false);
    const conversation = await conversationOf(1);
    unrecorded();
    expect(await goOn(conversation)).toMatchObject({ status: 409, body: { error: { code: 'RUN_NOT_ENDED' } } });
  });
});
