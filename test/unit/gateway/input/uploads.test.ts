import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile, wavOf } from '../../../support/wav-samples.js';

let gateway: TestGateway;
afterEach(() => gateway.close());

async function serve(...options: Parameters<typeof testGateway>): Promise<number> {
  gateway = await testGateway(...options);
  await gateway.app.listen({ port: 0, host: '127.0.0.1' });
  return (gateway.app.server.address() as AddressInfo).port;
}

const RUNS = '/v1/pipelines/listen/runs';
const wav = wavFile({ seconds: 3 });

/** Sends a head and some bytes of a body, and leaves the rest to the test. */
function begin(port: number, bytes: Buffer, headers: Record<string, string>, path = RUNS): ClientRequest {
  const sent = request({ port, host: '127.0.0.1', path, method: 'POST', headers });
  sent.on('error', () => {});
  sent.write(bytes);
  return sent;
}

async function answer(sent: ClientRequest): Promise<{ status: number; body: Record<string, unknown> }> {
  const [response] = await once(sent, 'response');
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { status: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString()) };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await condition()); await sleep(10)) {
    if (Date.now() > end) throw new Error('did not come true within 20 s');
  }
}

const served = async (port: number) => {
  const headers = { 'content-type': 'audio/wav' };
  return (await fetch(`http://127.0.0.1:${port}${RUNS}`, { method: 'POST', headers, body: wav })).status;
};
const healthy = async (port: number) => expect(await served(port)).toBe(202);

const form = (part: Buffer) =>
  Buffer.concat([Buffer.from('--b\r\nContent-Disposition: form-data; name="speech"; filename="a.wav"\r\n\r\n'), part]);

test.each([
  ['a bare file', { 'content-type': 'audio/wav' }, wav.subarray(0, 20_000)],
  ['a form', { 'content-type': 'multipart/form-data; boundary=b' }, form(wav.subarray(0, 20_000))],
])('a client that leaves in the middle of %s leaves nothing behind', async (_, headers, bytes) => {
  const port = await serve();
  const sent = begin(port, bytes, headers);
  await until(async () => (await gateway.incoming()).length === 1);
  sent.destroy();
  await until(async () => (await gateway.incoming()).length === 0);
  await until(() => gateway.lines.length === 1);
  expect(gateway.lines[0]).toMatchObject({ status: 499, code: 'REQUEST_ABORTED' });
  expect(gateway.temporal.runs.size).toBe(0);
  await healthy(port);
});

test.each([
  ['a bare file', { 'content-type': 'audio/wav' }, wav.subarray(0, 20_000)],
  ['a file of a form', { 'content-type': 'multipart/form-data; boundary=b' }, form(wav.subarray(0, 20_000))],
  ['a form before its first part', { 'content-type': 'multipart/form-data; boundary=b' }, Buffer.from('--b\r\n')],
])('%s that stops arriving is given up', async (_, headers, bytes) => {
  const port = await serve({ uploadTimeoutMs: 300 });
  const sent = begin(port, bytes, headers);
  const { status, body } = await answer(sent);
  sent.destroy();
  expect(status).toBe(408);
  expect(body).toMatchObject({ code: 'REQUEST_TIMEOUT' });
  await until(async () => (await gateway.incoming()).length === 0);
  // Where the machine stands still, these three tenths of a second pass in the middle of a whole body too.
  await expect.poll(() => served(port)).toBe(202);
});

test('the text parts of a form are bounded together, however many there are', async () => {
  const port = await serve();
  const sent = begin(port, Buffer.alloc(0), {
    'content-type': 'multipart/form-data; boundary=b',
    'transfer-encoding': 'chunked',
  });
  const answered = answer(sent);
  const value = 'x'.repeat(gateway.deps.limits.maxJsonBytes / 2);
  for (let i = 0; i < 4; i++) sent.write(`--b\r\ncontent-disposition: form-data; name="f${i}"\r\n\r\n${value}\r\n`);
  const { status, body } = await answered;
  sent.destroy();
  expect(status).toBe(413);
  expect(body).toMatchObject({ code: 'BODY_TOO_LARGE', errors: [{ field: 'body' }] });
  await healthy(port);
});

test('a file above the limit is refused while it is being sent, and the client sees why', async () => {
  const port = await serve();
  const header = wavOf(Buffer.alloc(0), { dataSize: 0xffffffff });
  const sent = begin(port, header, { 'content-type': 'audio/wav', 'transfer-encoding': 'chunked' });
  const answered = answer(sent);
  for (let i = 0; i < 300 && !sent.destroyed; i++) sent.write(Buffer.alloc(10_000)); // 3 MB; the limit is 200 kB
  const { status, body } = await answered;
  sent.destroy();
  expect(status).toBe(413);
  expect(body).toMatchObject({ code: 'BODY_TOO_LARGE', errors: [{ field: 'speech' }] });
  await until(async () => (await gateway.incoming()).length === 0);
  await healthy(port);
});

test.each([
  ['an unknown pipeline', '/v1/pipelines/nope/runs', 404],
  ['an unknown path', '/v1/nope', 404],
  ['an announced length above the limit', RUNS, 413],
])('a large body for %s is refused unread, and the client sees why', async (_, path, expected) => {
  const port = await serve();
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'audio/wav' },
    body: Buffer.alloc(5_000_000),
  });
  expect(response.status).toBe(expected);
  await healthy(port);
});

/** The process has other threads, whose tests take memory too. */
function ofThisThread(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test.each(['a bare file', 'a form'])(
  '200 MB as %s stream through in bounded memory',
  async (how) => {
    const port = await serve({ maxAudioBytes: 512 * 1024 * 1024, uploadTimeoutMs: 100_000 });
    const before = ofThisThread();
    const header = wavOf(Buffer.alloc(0), { sampleRate: 48_000, dataSize: 200_000_000 });
    const sent =
      how === 'a form'
        ? begin(port, form(header), { 'content-type': 'multipart/form-data; boundary=b' })
        : begin(port, header, { 'content-type': 'audio/wav' });
    const answered = answer(sent);
    const block = Buffer.alloc(100_000);
    let most = 0;
    for (let i = 0; i < 2000; i++) {
      // What is refused is not read on: the answer says why.
      if (!sent.write(block)) await Promise.race([once(sent, 'drain'), answered]);
      most = Math.max(most, ofThisThread());
    }
    sent.end(how === 'a form' ? '\r\n--b--\r\n' : '');
    expect((await answered).body).toMatchObject({ input: { speech: { bytes: 200_000_044, sampleRate: 48_000 } } });
    expect(most - before).toBeLessThan(80e6); // measured: 25 MB, client and server together
  },
  120_000,
);

test.each([
  ['no HTTP', 'INVALID_HEADER', '400 Bad Request', 'hello\r\n\r\n'],
  [
    'a header too large',
    'HEADERS_TOO_LARGE',
    '431 Request Header Fields Too Large',
    `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`,
  ],
])('%s gets a problem body', async (_, code, status, bytes) => {
  const port = await serve();
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  let text = '';
  for await (const part of socket) text += String(part);
  expect(text).toContain(`HTTP/1.1 ${status}\r\nContent-Type: application/problem+json`);
  expect(text).toContain(`"code":"${code}"`);
  await healthy(port);
});

test('a client that leaves while it waits does not end its run', async () => {
  const port = await serve({ maxWaitMs: 10_000 });
  const sent = begin(port, wav, {
    'content-type': 'audio/wav',
    prefer: 'wait=10',
    'content-length': String(wav.length),
  });
  await until(() => gateway.temporal.runs.size === 1);
  sent.destroy();
  await until(() => gateway.lines.length > 0);
  expect(gateway.lines.at(-1)).toMatchObject({ status: 499, runId: gateway.temporal.only().options.workflowId });
  expect(gateway.temporal.only().status).toBe('RUNNING');
});

test('a client that is still sending a JSON body which is refused reads why, and its next request is served', async () => {
  const port = await serve({ maxJsonBytes: 10_000 });
  const socket = connect(port, '127.0.0.1');
  let read = '';
  socket.on('data', (bytes: Buffer) => {
    read += bytes.toString();
  });
  const chunk = `2710\r\n${'x'.repeat(10_000)}\r\n`;
  socket.write(
    `POST ${RUNS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}`,
  );
  await until(() => read.includes('BODY_TOO_LARGE'));
  expect(read).toMatch(/^HTTP\/1\.1 413 /);
  // A connection that is closed while bytes come in is reset, and the answer may be lost with it.
  expect(read.toLowerCase()).not.toContain('connection: close');
  socket.write(`${chunk}0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await until(() => read.includes('HTTP/1.1 200 '));
  socket.destroy();
});
