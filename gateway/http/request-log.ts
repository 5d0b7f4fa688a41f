import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Histogram, type Registry } from 'prom-client';
import { CALLBACK_PATH } from '../../stores/callbacks/index.js';

/** nginx's status for a client that disconnected before the response; used in logs only. */
const CLIENT_LEFT = 499;

/** Requested every few seconds by machines; logged below `info` while they succeed. */
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/** Fields of a request's log line beside those of HTTP. */
export interface RequestNotes {
  tenant?: string;
  /** Id of the caller's key. */
  key?: string;
  runId?: string;
  /** Code of the request's error. */
  code?: string;
  error?: unknown;
  /** Whether the request is part of a flood and logged below `info`. */
  quiet?: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    notes: RequestNotes;
  }
}

/** In seconds: from a cached page (2 ms) to the longest wait for a run (55 s). */
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Writes one structured log line and one measurement for every request. */
export function observeRequests(app: FastifyInstance, registry: Registry): void {
  const seconds = new Histogram({
    name: 'millrace_http_request_seconds',
    help: 'Time from a request’s headers to the end of its response',
    labelNames: ['route', 'method', 'status'] as const,
    buckets: SECONDS,
    registers: [registry],
  });
  app.decorateRequest('notes');
  app.addHook('onRequest', (request, reply, done) => {
    request.notes = {};
    reply.header('x-request-id', request.id);
    let seen = false;
    const end = (status: number) => {
      if (seen) return;
      seen = true;
      seconds.observe({ route: routeOf(request), method: request.method, status }, reply.elapsedTime / 1000);
      log(request, status, reply.elapsedTime);
    };
    reply.raw.once('finish', () => end(reply.statusCode));
    // Closed before the response was written: the client never received its status.
    reply.raw.once('close', () => end(reply.raw.writableEnded ? reply.statusCode : CLIENT_LEFT));
    done();
  });
}

/** The route's pattern: paths contain ids, each of which would create a time series. */
const routeOf = (request: FastifyRequest): string =>
  request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched');

/**
 * The path. That of a callback has a token, which stands for a key: it is left out, also where the method is wrong, or the path
 * has a prefix that a proxy should have removed.
 */
function pathOf(request: FastifyRequest): string {
  const path = request.url.split('?', 1)[0] ?? '';
  const at = path.indexOf(`${CALLBACK_PATH}/`);
  if (at >= 0) return `${path.slice(0, at)}${CALLBACK_PATH}/:token`;
  return routeOf(request).startsWith(`${CALLBACK_PATH}/`) ? `${CALLBACK_PATH}/:token` : path;
}

function log(request: FastifyRequest, status: number, elapsedMs: number): void {
  const { tenant, key, runId, error, quiet } = request.notes;
  const code = status === CLIENT_LEFT ? 'REQUEST_ABORTED' : request.notes.code;
  const fields = {
    method: request.method,
    path: pathOf(request),
    status,
    ms: Math.round(elapsedMs),
    ...(tenant !== undefined && { tenant }),
    ...(key !== undefined && { key }),
    ...(runId !== undefined && { runId }),
    ...(code !== undefined && { code }),
    ...(status >= 500 && error !== undefined && { err: error }),
  };
  if (status >= 500) request.log.error(fields, 'request failed');
  else request.log[quiet || PROBES.has(routeOf(request)) ? 'debug' : 'info'](fields, 'request');
}
