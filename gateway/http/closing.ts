import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborts when the gateway shuts down: long responses end then. */
    closing: AbortSignal;
  }
}

/**
 * Lets the gateway shut down while clients keep connections open: streams end by `closing`, and connections without a
 * request yet, which browsers open in advance, are destroyed. Node closes those that are idle between two requests at
 * that moment; those that become idle later are closed here, else they would be kept alive for the next request.
 */
export function endConnectionsOnClose(app: FastifyInstance): void {
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each open stream
  const unused = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  app.server.on('request', ({ socket }, response) => {
    unused.delete(socket);
    response.once('finish', () => closing.signal.aborted && socket.destroySoon());
  });
  app.decorate('closing', closing.signal);
  app.addHook('preClose', (done) => {
    closing.abort();
    for (const socket of unused) socket.destroy();
    done();
  });
}
