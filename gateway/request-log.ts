import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Histogram, type Registry } from 'prom-client';

/** What is known of a request besides HTTP, for its log line. */
export interface RequestNotes {
  tenant?: string;
  runId?: string;
  /** Code of the error that the request ended with. */
  code?: string;
  error?: unknown;
}

declare module 'fastify' {
  interface FastifyRequest {
    notes: RequestNotes;
  }
}

/** Seconds: a cached page (2 ms) to the longest wait for a run (55 s). */
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** One structured log line and one measurement for every request, whatever became of it. */
export function observeRequests(app: FastifyInstance, registry: Registry): void {
  const seconds = new Histogram({
    name: 'millrace_http_request_seconds',
    help: 'Time from a request’s headers to the end of its answer',
    labelNames: ['route', 'method', 'status'] as const,
    buckets: SECONDS,
    registers: [registry],
  });
  app.decorateRequest('notes');
  app.addHook('onRequest', (request, reply, done) => {
    request.notes = {};
    reply.header('x-request-id', request.id);
    let seen = false;
    const end = () => {
      if (seen) return;
      seen = true;
      // A connection that closes before the answer was written never gave the client this status.
      const status = reply.raw.writableFinished ? reply.statusCode : 499;
      seconds.observe({ route: routeOf(request), method: request.method, status }, reply.elapsedTime / 1000);
      log(request, status, reply.elapsedTime);
    };
    reply.raw.once('finish', end).once('close', end);
    done();
  });
}

/** The pattern, not the path: paths hold ids and would make a time series each. */
const routeOf = (request: FastifyRequest): string =>
  request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched');

function log(request: FastifyRequest, status: number, elapsedMs: number): void {
  const { tenant, runId, code, error } = request.notes;
  const fields = {
    requestId: request.id,
    method: request.method,
    path: request.url.split('?', 1)[0],
    status,
    ms: Math.round(elapsedMs),
    ...(tenant !== undefined && { tenant }),
    ...(runId !== undefined && { runId }),
    ...(code !== undefined && { code }),
    ...(status >= 500 && error !== undefined && { err: error }),
  };
  if (status >= 500) request.log.error(fields, 'request failed');
  else request.log.info(fields, 'request');
}
