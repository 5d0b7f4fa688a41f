import dns from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RefusedTarget, send } from '../../../../activities/webhooks/send.js';

let server: Server | undefined;
afterEach(() => {
  vi.restoreAllMocks();
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener): Promise<number> {
  server = createServer(listener);
  await new Promise<void>((listening) => server?.listen(0, '127.0.0.1', listening));
  return (server.address() as AddressInfo).port;
}

const post = (url: string, allowPrivate = true, ms = 30_000) =>
  send(url, { body: '{"a":"ü"}', headers: { 'webhook-id': 'msg_1' }, allowPrivate, signal: AbortSignal.timeout(ms) });

describe('sending', () => {
  it('posts the body with its headers and gives the status', async () => {
    const seen: unknown[] = [];
    const port = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      seen.push([request.method, request.url, request.headers['webhook-id'], body]);
      response.writeHead(503, { 'retry-after': '7' }).end();
    });
    expect(await post(`http://127.0.0.1:${port}/a?b=c`)).toEqual({ status: 503, retryAfter: '7' });
    expect(seen).toEqual([['POST', '/a?b=c', 'msg_1', '{"a":"ü"}']]);
  });

  it('follows no redirect and reads no endless answer', async () => {
    let requests = 0;
    const port = await serve((_, response) => {
      requests++;
      response.writeHead(302, { location: '/other' });
      const flood = () => {
        while (response.write('x'.repeat(65_536)));
      };
      response.on('drain', flood);
      flood();
    });
    expect(await post(`http://127.0.0.1:${port}/`)).toEqual({ status: 302 });
    expect(requests).toBe(1);
  });

  it('ends with its signal at a target that does not answer', async () => {
    const port = await serve(() => undefined);
    await expect(post(`http://127.0.0.1:${port}/`, true, 100)).rejects.toThrow();
  });

  it('refuses a name that has any address which is not public, before it connects', async () => {
    let connections = 0;
    const port = await serve((_, response) => response.end());
    server?.on('connection', () => connections++);
    const lookup = vi.spyOn(dns, 'lookup');
    const answers = [['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::ffff:127.0.0.1'], []];
    for (const addresses of answers) {
      lookup.mockImplementation(((_: string, __: object, done: (...all: unknown[]) => void) =>
        done(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        )) as unknown as typeof dns.lookup);
      const error = await post(`https://rebinding.example:${port}/`, false).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RefusedTarget);
      expect(error).toMatchObject({ code: 'WEBHOOK_REFUSED' });
    }
    expect(lookup).toHaveBeenCalledTimes(answers.length);
    expect(connections).toBe(0);
  });
});
