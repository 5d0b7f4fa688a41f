import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Server as NetServer, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { RationedWarnings } from '../../telemetry/warnings.js';
import type { GatewayLimits } from '../deps.js';
import { joinSmallPieces } from '../input/small-pieces.js';
import { swallowRest } from '../input/upload.js';
import { headersTooLarge } from './broken-request.js';

/** Most header fields of a request: several times what browsers and proxies send. */
export const MOST_HEADERS = 100;
/**
 * Most concurrent requests of a connection. No client in use pipelines; but one chunk of a connection can contain a
 * thousand small requests, which would all be processed before other connections.
 */
const MOST_AT_ONCE = 4;
/** Interval at which Node checks for expired connections, in milliseconds; its default is 30 s. */
const CHECK_MS = 2_000;
/**
 * Margin by which the HTTP parser's timeout follows that of `Upload`, in milliseconds: `Upload` sends the better
 * response, and lingers after it.
 */
const PARSER_GRACE_MS = 15_000;
/**
 * In milliseconds; longer than the minute for which load balancers keep idle connections: the client's side must close
 * first.
 */
export const KEEP_ALIVE_MS = 72_000;

/**
 * How long a client may read nothing of what is ready for it, in milliseconds: what it does not read is held in memory, and what makes it
 * waits. Slow clients read something in this time.
 */
export const STALLED_MS = 60_000;

/**
 * TCP asks a connection without traffic whether its peer is still there, and closes it ten seconds later if it is not: a client whose machine or
 * network has gone sends nothing more, not even that it has left, and a request that waits for a run has nothing to send to it. Libuv asks
 * ten times, a second apart. Where something is on its way to the client, the system's own limit of retransmissions counts, some
 * 15 minutes on Linux (`net.ipv4.tcp_retries2`).
 */
export const PROBED = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

/**
 * Creates HTTP servers that limit the resources of unauthenticated clients: connections in total and per address, time
 * for headers, concurrent requests per connection, and time without reading a response. A connection above a limit is destroyed without
 * a response, and so is one whose client has vanished.
 */
export function boundedServers(
  limits: GatewayLimits,
  warnings: RationedWarnings,
): (handler: RequestListener) => Server {
  const { headersTimeoutMs, uploadTimeoutMs, stalledMs = STALLED_MS } = limits;
  const take = boundRequests(warnings);
  return (handler) => {
    const server = createServer(
      {
        ...PROBED,
        connectionsCheckingInterval: CHECK_MS,
        requestTimeout: uploadTimeoutMs + PARSER_GRACE_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        ...(headersTimeoutMs !== undefined && { headersTimeout: headersTimeoutMs }),
      },
      (request, response) => {
        if (!take(request, response)) return;
        boundStalls(response, stalledMs);
        if (request.headers['transfer-encoding'] !== undefined) boundChunks(request, response);
        handler(request, response);
      },
    );
    // Node drops header fields above its own limit: one more than ours lets the excess be detected.
    server.maxHeadersCount = MOST_HEADERS + 1;
    boundConnections(server, limits, warnings);
    return server;
  };
}

/**
 * Limits the connections of a server, in total and per address. Excess connections are destroyed before other listeners
 * get them.
 */
export function boundConnections(
  server: NetServer,
  { maxConnections, maxConnectionsPerAddress = Number.POSITIVE_INFINITY }: GatewayLimits,
  warnings: RationedWarnings,
): void {
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  server.prependListener('connection', boundEach(maxConnectionsPerAddress, warnings));
  server.on('drop', (from) =>
    warnings.warn(
      'full',
      { maxConnections, from: from?.remoteAddress },
      'connection limit reached: further connections are closed',
    ),
  );
}

/** Rejects requests with too many header fields. */
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
      warnings.warn(
        'address',
        { maxConnectionsPerAddress: most, from },
        'connection limit of an address reached: further connections are closed',
      );
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

/** Closes the connection of a client that reads nothing of its response. Node’s timeout counts only time without progress. */
function boundStalls(response: ServerResponse, stalledMs: number): void {
  response.setTimeout(stalledMs, () => {
    // Otherwise it is the response that is waited for.
    if (response.writableLength > 0) response.destroy();
  });
}

/**
 * Limits what chunks cost, however small they are. What no route has read when its response is sent is read and discarded as the rest of a
 * rejected body: Node would read it without a limit.
 */
function boundChunks(request: IncomingMessage, response: ServerResponse): void {
  joinSmallPieces(request, { connection: request.socket });
  // To Node its body is now read by somebody.
  request.read(0);
  response.once('finish', () => {
    const isUnread = request.readableFlowing === null;
    if (isUnread) swallowRest(request);
    if (isUnread && request.complete) request.resume();
    if (request.complete) return;
    // Node no longer tells a request of its connection’s end once its response is sent.
    const gone = () => request.destroy();
    request.socket.once('close', gone);
    request.once('close', () => request.socket.off('close', gone));
  });
}

/** Whether to process a request: not if its connection has too many unanswered ones. */
function boundRequests(warnings: RationedWarnings): (request: IncomingMessage, response: ServerResponse) => boolean {
  const underWay = new WeakMap<Socket, number>();
  return ({ socket }, response) => {
    if (socket.destroyed) return false;
    const count = (underWay.get(socket) ?? 0) + 1;
    if (count > MOST_AT_ONCE) {
      warnings.warn('pipelining', { from: socket.remoteAddress }, 'a client pipelines too many requests');
      socket.destroy();
      return false;
    }
    underWay.set(socket, count);
    response.once('close', () => underWay.set(socket, (underWay.get(socket) ?? 1) - 1));
    return true;
  };
}
