import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import { cannotListen } from './cannot-listen.js';

/** Where the worker's HTTP server listens. */
interface At {
  readonly host: string;
  readonly port: number;
}

/**
 * The worker's own HTTP server: `/metrics` (Prometheus), `/healthz` (alive) and `/readyz` (accepts tasks). Throws `INVALID_SETTING` if its
 * port is not available, such as that of another worker of the machine.
 *
 * @param failure the error to throw in its place
 */
export async function serveMetrics(
  { host, port }: At,
  registry: Registry,
  ready: () => boolean,
  failure = (error: unknown) => cannotListen('MILLRACE_WORKER_METRICS_PORT', { host, port }, error),
): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(body);
    if (request.url === '/healthz') return answer(200, 'ok\n');
    if (request.url === '/readyz') return ready() ? answer(200, 'ready\n') : answer(503, 'not ready\n');
    if (request.url !== '/metrics') return answer(404, 'not found\n');
    registry.metrics().then(
      (text) => answer(200, text, registry.contentType),
      () => answer(500, 'cannot collect the metrics\n'),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve)).catch(
    (error) => {
      throw failure(error);
    },
  );
  return server;
}
