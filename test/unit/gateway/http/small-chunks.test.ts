import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { greet, type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
let socket: net.Socket;
let read = '';
beforeEach(async () => {
  gateway = await testGateway({}, { pipelines: [greet] });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  socket = net.connect((gateway.app.server.address() as AddressInfo).port, '127.0.0.1');
  read = '';
  socket
    .on('error', () => undefined)
    .on('data', (bytes: Buffer) => {
      read += bytes.toString();
    });
});
afterEach(async () => {
  socket.destroy();
  await gateway.close();
});

const chunked = (head: string) => `${head} HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n`;
const chunksOf = (text: string) => Array.from(text, (letter) => `1\r\n${letter}\r\n`).join('');
const END = '0\r\n\r\n';
const statuses = () => Array.from(read.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status);

describe('a body in chunks of one byte', () => {
  test('is read as any other', async () => {
    const name = Array.from({ length: 20_000 }, (_, i) => i % 10).join('');
    const head = `${chunked('POST /v1/pipelines/greet/runs')}content-type: application/json\r\n\r\n`;
    socket.write(`${head}${chunksOf(JSON.stringify({ name }))}${END}GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
    await expect.poll(statuses).toEqual(['202', '200']);
    expect(gateway.temporal.only().options.args[0]).toEqual({ name });
  });

  test('that no route reads is read to its end, and the next request is answered', async () => {
    socket.write(`${chunked('GET /healthz')}\r\n${chunksOf('a'.repeat(1_000))}`);
    await expect.poll(statuses).toEqual(['200']);
    socket.write(`${chunksOf('a'.repeat(100_000))}${END}GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
    await expect.poll(statuses, { timeout: 10_000 }).toEqual(['200', '200']);
  });

  test('that is refused is read to its end, and the next request is answered', async () => {
    socket.write(`${chunked('POST /v1/nowhere')}\r\n${chunksOf('a'.repeat(1_000))}`);
    await expect.poll(statuses).toEqual(['404']);
    socket.write(`${chunksOf('a'.repeat(100_000))}${END}GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
    await expect.poll(statuses, { timeout: 10_000 }).toEqual(['404', '200']);
  });

  test('takes as long as one that does not end, where each is over within one read of its connection', async () => {
    const request = `${chunked('GET /healthz')}\r\n${chunksOf('a'.repeat(10_000))}${END}`;
    const began = performance.now();
    socket.write(request.repeat(12));
    await expect.poll(statuses, { interval: 10 }).toEqual(Array(12).fill('200'));
    // A tenth of a second each, but for the last ones; at once they took a fifth of a second.
    expect(performance.now() - began).toBeGreaterThan(400);
  });
});
