import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Doors } from './attack.js';

const HOST = '127.0.0.1';

/**
 * Receives an attack's bytes in a control round: both doors, without any processing. Every request is read to its end
 * and answered; followers and waiters of a run are kept waiting.
 */
export async function openStub(): Promise<Doors> {
  const http = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  const grpc = http2.createServer({ settings: { maxConcurrentStreams: 256 } });
  grpc.on('session', (session) => void session.on('error', () => undefined));
  grpc.on('stream', (stream) => {
    stream.on('error', () => undefined).resume();
    stream.once('end', () => {
      // A client that has disconnected needs no answer.
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
    });
  });
  const port = async (server: typeof http | typeof grpc) => {
    server.listen(0, HOST);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  return { http: await port(http), grpc: await port(grpc) };
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const _ of request);
  if (request.url?.endsWith('/events')) response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  else if (request.headers['idempotency-key'] === undefined)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"run"}');
}
