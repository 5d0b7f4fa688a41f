import net, { type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { ResponseMemory } from '../../../../gateway/http/response-memory.js';
import { Authenticator, type GatewayLimits, issueKey, keyRing } from '../../../../gateway/index.js';
import { inspectorOf } from '../../../../media/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { greet, listen, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const MEBIBYTE = 1024 * 1024;
/** More than the system buffers of a connection whose client does not read. */
const LARGE = 'x'.repeat(24 * MEBIBYTE);
const customer = issueKey({ name: 'customer', tenant: 'acme', permissions: ['run', 'read'] });
const other = issueKey({ name: 'other', tenant: 'other', permissions: ['run', 'read'] });

describe('the memory for responses', () => {
  test('refuses no response for its own size, and those that are too many with others', () => {
    const memory = new ResponseMemory({ maxTenantResponseMemoryBytes: 10, maxResponseMemoryBytes: 30 });
    const [first, second] = [memory.open('acme'), memory.open('acme')];
    first.take(6);
    first.take(6);
    expect(() => second.take(1)).toThrow(/MILLRACE_TENANT_RESPONSE_MEMORY_BYTES/);
    memory.open('other').take(18);
    expect(() => memory.open('third').take(1)).toThrow(/MILLRACE_MAX_RESPONSE_MEMORY_BYTES/);
    first.give(8);
    second.take(5);
    first.release();
    second.take(4);
    expect(() => first.take(1)).toThrow('the client left');
  });

  test('refuses a part of a response for what its other parts hold, and has all back with the whole', () => {
    const memory = new ResponseMemory({ maxTenantResponseMemoryBytes: 10 });
    const batch = memory.open('acme');
    const [first, second] = [batch.part(), batch.part()];
    first.take(11);
    expect(() => second.take(1)).toThrow(/MILLRACE_TENANT_RESPONSE_MEMORY_BYTES/);
    batch.release();
    expect(memory.held).toBe(0);
    expect(() => batch.part().take(1)).toThrow('the client left');
  });

  test('gives half of itself to buffers at most, so that they refuse no response', () => {
    const memory = new ResponseMemory({ maxTenantResponseMemoryBytes: 10, maxResponseMemoryBytes: 100 });
    const [one, two] = [memory.open('acme'), memory.open('acme')];
    expect([one.takeBuffer(3), two.takeBuffer(3), two.takeBuffer(2)]).toEqual([true, false, true]);
    two.take(5);
    one.release();
    expect(one.takeBuffer(1)).toBe(false);
  });
});

let gateway: TestGateway;
let port: number;
const open: net.Socket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await gateway?.close();
});

async function serve(limits: Partial<GatewayLimits> = {}): Promise<void> {
  const authenticator = new Authenticator(
    { by: 'key', keys: keyRing([customer.key, other.key]) },
    pino({ level: 'silent' }),
  );
  gateway = await testGateway(
    { maxTenantResponseMemoryBytes: 30 * MEBIBYTE, maxAudioBytes: 64 * MEBIBYTE, ...limits },
    { pipelines: [greet, listen], authenticator },
  );
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  port = (gateway.app.server.address() as AddressInfo).port;
}

/** A request whose response nobody reads. */
function unread(path: string, key = customer.secret): net.Socket {
  const socket = net.connect(port, '127.0.0.1');
  open.push(socket);
  socket.on('error', () => undefined).pause();
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: ${key}\r\n\r\n`);
  return socket;
}

async function get(path: string, key = customer.secret) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'x-api-key': key } });
  return { status: response.status, text: await response.text(), retry: response.headers.get('retry-after') };
}

async function held(): Promise<number> {
  const metric = await gateway.deps.registry.getSingleMetric('millrace_response_bytes_held')?.get();
  return metric?.values[0]?.value ?? Number.NaN;
}
async function until(done: (bytes: number) => boolean): Promise<void> {
  while (!done(await held())) await sleep(5);
}

/** A run that has ended with a large output; its path. */
async function largeRun(key = customer.secret): Promise<string> {
  gateway.temporal.onStart = (run) => run.end({ output: { name: LARGE }, stages: [] });
  const response = await fetch(`http://127.0.0.1:${port}/v1/pipelines/greet/runs`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ada' }),
  });
  expect(response.status).toBe(202);
  return ((await response.json()) as { links: { self: string } }).links.self;
}

describe('responses that nobody reads', () => {
  test('are counted until they have been read, and more are refused to their tenant alone', async () => {
    await serve();
    const [path, others] = [await largeRun(), await largeRun(other.secret)];
    const socket = unread(path);
    await until((bytes) => bytes > LARGE.length);
    const refused = await get(path);
    expect([refused.status, JSON.parse(refused.text).code, refused.retry]).toEqual([503, 'BODY_MEMORY_FULL', '1']);
    expect((await get(others, other.secret)).status).toBe(200);
    socket.destroy();
    await until((bytes) => bytes === 0);
    expect((await get(path)).status).toBe(200);
    await until((bytes) => bytes === 0);
  });

  test('are counted in streams of events too, which end with the error', async () => {
    await serve();
    const path = await largeRun();
    unread(`${path}/events`);
    await until((bytes) => bytes > LARGE.length);
    const { status, text } = await get(`${path}/events`);
    expect(status).toBe(200);
    expect(text).toMatch(/event: error\ndata: .*BODY_MEMORY_FULL/);
  });

  test('leave no memory for the media of tensors, which are counted before they are read', async () => {
    await serve();
    const speech = wavFile({ seconds: 500, sampleRate: 8_000 });
    const heard = await gateway.deps.artifacts.put('acme', pieces(speech), inspectorOf('audio'));
    const path = await largeRun();
    unread(path);
    await until((bytes) => bytes > LARGE.length);
    gateway.temporal.onStart = (run) =>
      run.end({ output: { text: 'a', heard: { ...heard } as unknown as JsonObject }, stages: [] });
    const infer = () =>
      fetch(`http://127.0.0.1:${port}/v2/models/listen/infer`, {
        method: 'POST',
        headers: { 'x-api-key': customer.secret },
        body: JSON.stringify({ inputs: [{ name: 'speech', shape: [1], datatype: 'BYTES', data: [heard.uri] }] }),
      });
    const refused = await infer();
    expect([refused.status, await refused.json()]).toEqual([
      503,
      expect.objectContaining({ code: 'BODY_MEMORY_FULL' }),
    ]);
    for (const socket of open.splice(0)) socket.destroy();
    await until((bytes) => bytes === 0);
    const given = await infer();
    expect(given.status).toBe(200);
    expect((await given.arrayBuffer()).byteLength).toBeGreaterThan(speech.length);
    await until((bytes) => bytes === 0);
  });

  test('end when their client has read nothing for a while', async () => {
    await serve({ stalledMs: 300 });
    unread(await largeRun());
    await until((bytes) => bytes > LARGE.length);
    await until((bytes) => bytes === 0);
  });

  test('are not those that are waited for', async () => {
    await serve({ stalledMs: 100, maxWaitMs: 30_000 });
    gateway.temporal.onStart = () => undefined;
    const answered = fetch(`http://127.0.0.1:${port}/v1/pipelines/greet/runs`, {
      method: 'POST',
      headers: { 'x-api-key': customer.secret, 'content-type': 'application/json', prefer: 'wait=30' },
      body: JSON.stringify({ name: 'Ada' }),
    });
    while (gateway.temporal.runs.size === 0) await sleep(5);
    await sleep(500);
    gateway.temporal.only().end({ output: { name: 'Ada' }, stages: [] });
    expect((await answered).status).toBe(200);
  });
});

async function* pieces(file: Buffer) {
  yield file;
}
