import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { BodyBudget } from '../../../../gateway/input/body-budget.js';
import { MediaIntake } from '../../../../gateway/input/media-intake.js';
import type { Upload } from '../../../../gateway/input/upload.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import { type ArtifactStore, openFileStore } from '../../../../stores/artifacts/index.js';
import { type BlockedStore, blockedStore } from '../../../support/blocked-store.js';
import { sessionsInMemory } from '../../../support/sessions-in-memory.js';
import { compare, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const coded = (code: string) => expect.objectContaining({ code });
const SOME = Buffer.from('some bytes');

/** Requests with bodies of a budget, by tenant. */
function senders(store: ArtifactStore) {
  const budget = new BodyBudget({ maxBodyMemoryBytes: 1_000 });
  const opened = (tenant: string) => {
    const held = budget.open(tenant);
    const client = new AbortController();
    const intake = new MediaIntake(store, { tenant, held, gone: client.signal }, { maxAudioBytes: 1_000 });
    /** As the end of a connection does. */
    const leave = () => {
      held.release();
      client.abort();
    };
    return { held, intake, leave };
  };
  return { budget, opened };
}

describe('a request whose client leaves while its media are stored', () => {
  it('stores nothing more, and its body counts until the put under way has ended', async () => {
    const { store, begun, waiting, letGo } = blockedStore();
    const { budget, opened } = senders(store);
    const { held, intake, leave } = opened('acme');
    held.take(600);
    const taken = (async () => {
      for (const i of [0, 1, 2]) await intake.fromBytes(`files.${i}`, SOME, 'file');
    })();
    await expect.poll(waiting).toBe(1);
    leave();
    expect(budget.held).toBe(600);
    letGo();
    await expect(taken).rejects.toThrow(coded('REQUEST_ABORTED'));
    expect(begun()).toBe(1);
    expect(budget.held).toBe(0);
    await expect(intake.fromBytes('files.3', SOME, 'file')).rejects.toThrow(coded('REQUEST_ABORTED'));
    expect(begun()).toBe(1);
  });

  it('gives its body back at once if nothing is being stored, and after a put that fails', async () => {
    const { store } = blockedStore();
    const failing: ArtifactStore = { ...store, put: () => Promise.reject(new Error('no disk')) };
    const { budget, opened } = senders(failing);
    const { held, intake, leave } = opened('acme');
    held.take(600);
    await expect(intake.fromBytes('file', SOME, 'file')).rejects.toThrow('no disk');
    expect(budget.held).toBe(600);
    leave();
    expect(budget.held).toBe(0);
  });
});

describe('the threads for files', () => {
  let root: string;
  let store: ArtifactStore;
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'millrace-intake-'));
    store = await openFileStore(root);
  });
  afterEach(() => rm(root, { recursive: true }));

  it('are left to others by a tenant with many files, of whom those who leave wait no longer', async () => {
    const { store: blocked, waiting, letGo } = blockedStore();
    vi.spyOn(store, 'put').mockImplementation(blocked.put);
    const { budget, opened } = senders(store);
    const many = Array.from({ length: 10 }, () => opened('crowd'));
    const taken = many.map(({ held, intake }) => {
      held.take(10);
      return intake.fromBytes('file', SOME, 'file');
    });
    await expect.poll(waiting).toBe(3);
    await sleep(20);
    expect(waiting()).toBe(3);
    const other = opened('other').intake.fromBytes('file', SOME, 'file');
    await expect.poll(waiting).toBe(4);
    many.at(-1)?.leave();
    await expect(taken.at(-1)).rejects.toThrow(coded('REQUEST_ABORTED'));
    expect(budget.held).toBe(90);
    const ending = setInterval(letGo, 1);
    await Promise.all([other, ...taken.slice(0, -1)]);
    clearInterval(ending);
  });

  it('are not kept by files that come slowly', async () => {
    const { opened } = senders(store);
    const upload = { file: (bytes: AsyncIterable<Uint8Array>) => bytes } as unknown as Upload;
    const ends: (() => void)[] = [];
    async function* slow() {
      yield SOME;
      await new Promise<void>((resolve) => {
        ends.push(resolve);
      });
    }
    const slowly = Array.from({ length: 9 }, () => opened('acme').intake.fromFile('file', slow(), upload, 'file'));
    await expect.poll(() => ends.length).toBe(9);
    await opened('acme').intake.fromBytes('file', SOME, 'file');
    for (const end of ends) end();
    for (const { bytes } of await Promise.all(slowly)) expect(bytes).toBe(SOME.length);
  });

  it('are not kept by puts that wait before they read, as for a measurement of what the tenant keeps', async () => {
    const put = store.put.bind(store);
    const measured: (() => void)[] = [];
    vi.spyOn(store, 'put').mockImplementation(async (...given) => {
      await new Promise<void>((resolve) => {
        measured.push(resolve);
      });
      return await put(...given);
    });
    const { opened } = senders(store);
    const waiting = Array.from({ length: 9 }, () => opened('acme').intake.fromBytes('file', SOME, 'file'));
    await expect.poll(() => measured.length).toBe(9);
    for (const end of measured) end();
    for (const { bytes } of await Promise.all(waiting)) expect(bytes).toBe(SOME.length);
  });
});

describe('at every door', () => {
  let gateway: TestGateway;
  let blocked: BlockedStore;
  let sessions: ReturnType<typeof sessionsInMemory>;
  beforeEach(async () => {
    blocked = blockedStore();
    sessions = sessionsInMemory();
    const pipelines = [compare, chatModel] as unknown as Pipeline[];
    gateway = await testGateway({}, { pipelines, artifacts: blocked.store, placementOf: () => ({}), sessions });
    await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  });
  afterEach(async () => {
    blocked.letGo();
    await gateway.close();
  });

  const base64 = wavFile({ sampleRate: 8_000 }).toString('base64');
  const media = { left: { base64 }, right: { base64 } };
  const tensor = (name: string) => ({
    ...{ name, datatype: 'BYTES', shape: [1], data: [base64] },
    parameters: { content_type: 'base64' },
  });
  const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${base64}` } };
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ data: media }] };
  const bytesHeld = async (): Promise<number> =>
    (await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get())?.values[0]?.value ?? Number.NaN;
  const connections = () =>
    new Promise<number>((resolve, reject) => {
      gateway.app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });

  function send(url: string, body: unknown, headers: Record<string, string> = {}): ClientRequest {
    const { port } = gateway.app.server.address() as AddressInfo;
    const sent = request({
      ...{ port, host: '127.0.0.1', path: url, method: 'POST' },
      headers: { 'content-type': 'application/json', ...headers },
    });
    sent.on('error', () => undefined);
    sent.end(JSON.stringify(body));
    return sent;
  }
  /** Resolves when the gateway has seen the client go. */
  async function leave(sent: ClientRequest): Promise<void> {
    sent.destroy();
    await expect.poll(connections).toBe(0);
    await sleep(20);
  }

  test.each<[string, unknown, Record<string, string>?]>([
    ['/v1/pipelines/compare/runs', media],
    ['/v1/chat/completions', { model: 'chat', messages: [{ role: 'user', content: [image, image] }] }],
    ['/v2/models/compare/infer', { inputs: [tensor('left'), tensor('right')] }],
    [
      '/mcp',
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'compare', arguments: media } },
      { accept: 'application/json, text/event-stream' },
    ],
    ['/a2a/compare', { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }, { 'a2a-version': '1.0' }],
  ])('%s', async (url, body, headers) => {
    const sent = send(url, body, headers);
    await expect.poll(blocked.begun).toBe(1);
    await leave(sent);
    expect(await bytesHeld()).toBeGreaterThan(0);
    blocked.letGo();
    await expect.poll(bytesHeld).toBe(0);
    await sleep(20);
    expect(blocked.begun()).toBe(1);
    expect(gateway.temporal.runs.size).toBe(0);
  });

  test('/v1/responses, while a conversation is read', async () => {
    const created = await gateway.app.inject({ method: 'POST', url: '/v1/conversations', payload: {} });
    const { load } = sessions;
    let asked = false;
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    sessions.load = async (name) => {
      asked = true;
      await answered;
      return await load(name);
    };
    const sent = send('/v1/responses', { model: 'chat', input: 'Why?', conversation: created.json().id });
    await expect.poll(() => asked).toBe(true);
    await leave(sent);
    expect(await bytesHeld()).toBeGreaterThan(0);
    answer();
    await expect.poll(bytesHeld).toBe(0);
  });
});
