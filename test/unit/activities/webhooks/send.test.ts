import { createSocket } from 'node:dgram';
import dns from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RefusedTarget } from '../../../../activities/webhooks/public-lookup.js';
import { send } from '../../../../activities/webhooks/send.js';
import { DnsServer } from '../../../support/dns-server.js';

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
    const v4 = vi.spyOn(Resolver.prototype, 'resolve4');
    const v6 = vi.spyOn(Resolver.prototype, 'resolve6');
    const answers = [['127.0.0.1'], ['93.184.216.34', '10.0.0.1'], ['::ffff:127.0.0.1'], []];
    for (const addresses of answers) {
      const of = (family: number) => addresses.filter((address) => isIP(address) === family);
      v4.mockResolvedValue(of(4) as never);
      v6.mockResolvedValue(of(6));
      const error = await post(`https://rebinding.example:${port}/`, false).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RefusedTarget);
      expect(error).toMatchObject({ code: 'WEBHOOK_REFUSED' });
    }
    expect(v4).toHaveBeenCalledTimes(answers.length);
    expect(connections).toBe(0);
  });

  it('asks the name servers itself: a host whose name server is silent occupies no thread of the process', async () => {
    const system = vi.spyOn(dns, 'lookup');
    const silent = createSocket('udp4');
    await new Promise<void>((bound) => silent.bind(0, '127.0.0.1', bound));
    const asked: string[] = [];
    silent.on('message', (query) => asked.push(query.toString('latin1')));
    const send1 = (i: number, nameServers: readonly string[], ms: number) =>
      send(`https://host${i}.example/`, {
        ...{ body: '{}', headers: {}, allowPrivate: false, nameServers },
        signal: AbortSignal.timeout(ms),
      });
    const sent = Array.from({ length: 8 }, (_, i) => send1(i, [`127.0.0.1:${silent.address().port}`], 500));
    for (const { status } of await Promise.allSettled(sent)) expect(status).toBe('rejected');
    // Where this process stood still, all have ended before it reads what they sent.
    for (let i = 0; i < 8; i++) await expect.poll(() => asked.some((query) => query.includes(`host${i}`))).toBe(true);
    const server = await DnsServer.start();
    server.names.set('host1.example', [{ a: '127.0.0.1' }]);
    await expect(send1(1, [server.address], 30_000)).rejects.toBeInstanceOf(RefusedTarget);
    await expect(send1(2, [server.address], 30_000)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    server.stop();
    silent.close();
    // The sockets of this test are given addresses.
    expect(system.mock.calls.filter(([host]) => host.endsWith('.example'))).toEqual([]);
  });
});
