import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyRequest } from 'fastify';
import { pino } from 'pino';
import { afterEach, describe, expect, it, test } from 'vitest';
import { Authenticator, type GatewayLimits, issueKey, keyRing } from '../../../../gateway/index.js';
import { BodyBudget } from '../../../../gateway/input/body-budget.js';
import { readBody } from '../../../../gateway/input/held-bodies.js';
import { listen, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const MEBIBYTE = 1024 * 1024;
const customer = issueKey({ name: 'customer', tenant: 'acme', permissions: ['run', 'read'] });
const other = issueKey({ name: 'other', tenant: 'other', permissions: ['run', 'read'] });
const measurer = issueKey({ name: 'measurer', tenant: 'acme', permissions: ['metrics'] });

let gateway: TestGateway;
let port: number;
let open: net.Socket[] = [];
let close = async (): Promise<void> => undefined;
afterEach(async () => {
  for (const socket of open) socket.destroy();
  open = [];
  await close();
  close = async () => undefined;
});

async function serve(limits: Partial<GatewayLimits> = {}): Promise<void> {
  const keys = keyRing([customer.key, other.key, measurer.key]);
  const authenticator = new Authenticator({ by: 'key', keys }, pino({ level: 'silent' }));
  gateway = await testGateway(
    { maxJsonBytes: MEBIBYTE, maxTenantBodyMemoryBytes: MEBIBYTE, maxBodyMemoryBytes: 2 * MEBIBYTE, ...limits },
    { pipelines: [listen], authenticator },
  );
  close = gateway.close;
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  port = (gateway.app.server.address() as AddressInfo).port;
}

/** A request of which so much is sent; its status and code when they come. */
async function post(url: string, type: string, length: number | undefined, sent: Buffer, key = customer.secret) {
  const socket = net.connect(port, '127.0.0.1');
  open.push(socket);
  socket.on('error', () => undefined);
  const framing = length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}`;
  socket.write(
    `POST ${url} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: ${key}\r\ncontent-type: ${type}\r\n${framing}\r\n\r\n`,
  );
  socket.write(length === undefined ? Buffer.concat([Buffer.from(`${sent.length.toString(16)}\r\n`), sent]) : sent);
  return {
    socket,
    async answer(): Promise<[number, string | undefined]> {
      let text = '';
      while (!/\r\n\r\n[\s\S]*\}/.test(text)) text += String(((await once(socket, 'data')) as [Buffer])[0]);
      return [Number(text.slice(9, 12)), /(BODY_MEMORY_FULL|BODY_TOO_LARGE|FORBIDDEN)/.exec(text)?.[1]];
    },
  };
}

async function held(): Promise<number> {
  const metric = await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get();
  return metric?.values[0]?.value ?? Number.NaN;
}
async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await sleep(5);
}

const json = 'application/json';
const form = 'multipart/form-data; boundary=b';
const text = Buffer.from('--b\r\nContent-Disposition: form-data; name="language"\r\n\r\n');
const file = Buffer.from(
  '--b\r\nContent-Disposition: form-data; name="speech"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\nID3',
);
const some = Buffer.alloc(600_000, ' ');

/** Every door that takes a body into memory. */
const DOORS: readonly (readonly [url: string, type: string, body: Buffer])[] = [
  ['/v1/pipelines/listen/runs', json, some],
  ['/v1/pipelines/listen/runs', form, Buffer.concat([text, some])],
  ['/v1/chat/completions', json, some],
  ['/v1/responses', json, some],
  ['/v1/embeddings', json, some],
  ['/v1/audio/speech', json, some],
  ['/v1/audio/transcriptions', form, Buffer.concat([text, some])],
  ['/mcp', json, some],
  ['/v2/models/listen/infer', json, some],
  ['/v2/models/listen/infer', 'application/octet-stream', some],
];

describe('bodies in memory', () => {
  it.each(DOORS)('of %s, %s are counted, and refused to a tenant above its share', async (url, type, body) => {
    await serve();
    const first = await post(url, type, 700_000, body);
    await until(async () => (await held()) >= 600_000);
    const second = await post(url, type, 700_000, body);
    expect(await second.answer()).toEqual([503, 'BODY_MEMORY_FULL']);
    const third = await post(url, type, undefined, body);
    expect(await third.answer()).toEqual([503, 'BODY_MEMORY_FULL']);
    // Another tenant has a share of its own.
    await post(url, type, 700_000, body, other.secret);
    await until(async () => (await held()) >= 1_200_000);
    first.socket.destroy();
    await until(async () => (await held()) < 700_000);
    await post(url, type, 700_000, body);
    await until(async () => (await held()) >= 1_200_000);
  });

  it('are refused to everybody above what the process may hold', async () => {
    await serve({ maxBodyMemoryBytes: 1_100_000 });
    const [url, type, body] = ['/mcp', json, some] as const;
    await post(url, type, 700_000, body);
    await until(async () => (await held()) >= 600_000);
    const second = await post(url, type, 700_000, body, other.secret);
    expect(await second.answer()).toEqual([503, 'BODY_MEMORY_FULL']);
  });

  it('are never larger than a tenant’s share', async () => {
    await serve({ maxTenantBodyMemoryBytes: 100_000 });
    const response = await post('/mcp', json, 700_000, some);
    expect(await response.answer()).toEqual([413, 'BODY_TOO_LARGE']);
  });

  it('are not those of files, which stream into the store', async () => {
    await serve({ maxAudioBytes: 4 * MEBIBYTE, maxTenantBodyMemoryBytes: 1_000 });
    const body = Buffer.concat([file, Buffer.alloc(3 * MEBIBYTE)]);
    await post('/v1/pipelines/listen/runs', form, body.length + 100, body);
    await post('/v1/pipelines/listen/runs', 'audio/mpeg', body.length + 100, body.subarray(file.length - 3));
    await until(async () => (await gateway.incoming()).length === 2);
    await sleep(50);
    expect(await held()).toBe(0);
  });

  it('count until the answer, once their run has begun with no more than an input may have', async () => {
    const limits = { maxJsonBytes: 4 * MEBIBYTE, maxAudioBytes: 4 * MEBIBYTE };
    const memory = { maxTenantBodyMemoryBytes: 5 * MEBIBYTE, maxBodyMemoryBytes: 5 * MEBIBYTE };
    await serve({ ...limits, ...memory, maxWaitMs: 30_000 });
    const speech = { base64: wavFile({ seconds: 160, sampleRate: 8_000 }).toString('base64') };
    const headers = { 'x-api-key': customer.secret, 'content-type': json, prefer: 'wait=30' };
    const answered = fetch(`http://127.0.0.1:${port}/v1/pipelines/listen/runs`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ speech }),
    });
    await until(() => Promise.resolve(gateway.temporal.runs.size === 1));
    expect(await held()).toBe(2 * MEBIBYTE);
    gateway.temporal.only().end({ output: { text: 't' }, stages: [] });
    expect((await answered).status).toBe(200);
    await until(async () => (await held()) === 0);
  });
});

test('a key that may not run pipelines is refused before its body is there', async () => {
  await serve();
  for (const [url, type] of DOORS) {
    const response = await post(url, type, 700_000, Buffer.alloc(0), measurer.secret);
    expect(await response.answer()).toEqual([403, 'FORBIDDEN']);
  }
});

test.each([undefined, 300_000])('no piece is kept of a body that comes byte by byte, length %s', async (length) => {
  const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
  const held = new BodyBudget({ maxBodyMemoryBytes: MEBIBYTE }).open('acme');
  const headers = length === undefined ? {} : { 'content-length': String(length) };
  const request = { held, headers, routeOptions: { bodyLimit: MEBIBYTE }, server: { initialConfig: {} } };
  const payload = new Readable({ read: () => undefined });
  const whole = readBody(request as unknown as FastifyRequest, payload as IncomingMessage);
  const piece = Buffer.alloc(1);
  for (const byte of sent) payload.emit('data', piece.fill(byte));
  payload.emit('end');
  expect((await whole).equals(sent)).toBe(true);
  expect(held.bytes).toBe(sent.length);
});

test('what is given back twice counts once', () => {
  const budget = new BodyBudget({ maxBodyMemoryBytes: 10 });
  const held = budget.open('acme');
  held.take(6);
  held.give(9);
  held.release();
  held.release();
  expect(budget.held).toBe(0);
  expect(() => held.take(1)).toThrow('the request is over');
});
