import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Server as NetServer, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { RationedWarnings } from '../../telemetry/warnings.js';
import type { GatewayLimits } from '../deps.js';
import { headersTooLarge } from './broken-request.js';

/** Header fields of a request: what browsers and proxies send several times over. */
const MOST_HEADERS = 100;
/**
 * Requests of one connection that may be under way. No client in use sends a second before the first is answered; one chunk
 * of a connection holds a thousand small ones, which would all be worked on before anybody else's turn.
 */
const MOST_AT_ONCE = 4;
/** Node looks so often for connections whose time is over; by default only every half minute. */
const CHECK_MS = 2_000;
/** The HTTP parser's own timeout comes behind that of `Upload`, whose answer is the better one, and its lingering. */
const PARSER_GRACE_MS = 15_000;
/** Above the minute for which balancers keep idle connections: the one that closes first must be the client's side. */
export const KEEP_ALIVE_MS = 72_000;

/**
 * Makes HTTP servers that bound what a stranger can hold before anything of a request is looked at: connections in all and
 * of one address, time for headers, and requests under way on one connection. A connection above a bound is closed at once,
 * since to answer it would be to serve it.
 */
export function boundedServers(
  limits: GatewayLimits,
  warnings: RationedWarnings,
): (handler: RequestListener) => Server {
  const { headersTimeoutMs, uploadTimeoutMs } = limits;
  const take = boundRequests(warnings);
  return (handler) => {
    const server = createServer(
      {
        connectionsCheckingInterval: CHECK_MS,
        requestTimeout: uploadTimeoutMs + PARSER_GRACE_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        ...(headersTimeoutMs !== undefined && { headersTimeout: headersTimeoutMs }),
      },
      (request, response) => {
        if (take(request, response)) handler(request, response);
      },
    );
    // Node leaves out what is above its own bound, and so has to let one through that shows.
    server.maxHeadersCount = MOST_HEADERS + 1;
    boundConnections(server, limits, warnings);
    return server;
  };
}

/** Bounds the connections of a server, in all and of one address. One above a bound is destroyed before others hear of it. */
export function boundConnections(
  server: NetServer,
  { maxConnections, maxConnectionsPerAddress = Number.POSITIVE_INFINITY }: GatewayLimits,
  warnings: RationedWarnings,
): void {
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  server.prependListener('connection', boundEach(maxConnectionsPerAddress, warnings));
  server.on('drop', (from) =>
    warnings.warn('full', { maxConnections, from: from?.remoteAddress }, 'no more connections are taken'),
  );
}

/** Refuses requests with too many header fields. */
export function boundHeaders(app: FastifyInstance, warnings: RationedWarnings): void {
  app.addHook('onRequest', async (request) => {
    if (request.raw.rawHeaders.length / 2 <= MOST_HEADERS) return;
    request.notes.quiet = true;
    warnings.warn('fields', { from: request.ip }, `a request has more than ${MOST_HEADERS} header fields`);
    throw headersTooLarge(`there are more than ${MOST_HEADERS} header fields`);
  });
}

function boundEach(most: number, warnings: RationedWarnings): (socket: Socket) => void {
  const open = new Map<string, number>();
  return (socket) => {
    const { remoteAddress: from } = socket;
    if (from === undefined) return;
    const count = (open.get(from) ?? 0) + 1;
    if (count > most) {
      warnings.warn('address', { maxConnectionsPerAddress: most, from }, 'an address may open no more connections');
      socket.destroy();
      return;
    }
    open.set(from, count);
    socket.once('close', () => {
      const left = (open.get(from) ?? 1) - 1;
      if (left > 0) open.set(from, left);
      else open.delete(from);
    });
  };
}

/** Whether to look at a request at all: not when its connection asks for more than it has been answered. */
function boundRequests(warnings: RationedWarnings): (request: IncomingMessage, response: ServerResponse) => boolean {
  const underWay = new WeakMap<Socket, number>();
  return ({ socket }, response) => {
    if (socket.destroyed) return false;
    const count = (underWay.get(socket) ?? 0) + 1;
    if (count > MOST_AT_ONCE) {
      warnings.warn(
        'pipelining',
        { from: socket.remoteAddress },
        'a client sends requests without waiting for answers',
      );
      socket.destroy();
      return false;
    }
    underWay.set(socket, count);
    response.once('close', () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1));
    return true;
  };
}
