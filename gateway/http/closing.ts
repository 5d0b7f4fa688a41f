import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when the gateway is to end: what would otherwise stay open ends now. */
    closing: AbortSignal;
  }
}

/**
 * Lets the gateway end while clients hold connections to it: streams that stay open, which are told by `closing`, and
 * connections on which nothing has been asked yet, as browsers open them in advance. Node closes those between two requests.
 */
export function endConnectionsOnClose(app: FastifyInstance): void {
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each open stream
  const unused = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  app.server.on('request', ({ socket }) => unused.delete(socket));
  app.decorate('closing', closing.signal);
  app.addHook('preClose', (done) => {
    closing.abort();
    for (const socket of unused) socket.destroy();
    done();
  });
}
