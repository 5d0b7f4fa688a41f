import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PacedOptions {
  /** Requests that it works on at once; the others wait in its queue, first come, first served. */
  readonly slots: number;
  /** Usual time of a request, in milliseconds; it varies by the length that the request asks for. */
  readonly ms: number;
  /** Whether `/metrics` reports the requests that run and wait, with vLLM's names. */
  readonly reports: boolean;
  /** It refuses every call at once. */
  readonly broken?: boolean;
}

/**
 * A model server with a queue of its own. A request takes `ms` times a hundredth of its `max_tokens`, so that the bench decides how long each
 * call takes, at whichever server.
 */
export class PacedServer {
  calls = 0;
  readonly #options: PacedOptions;
  readonly #server: Server;
  readonly #queue: (() => void)[] = [];
  #running = 0;

  private constructor(options: PacedOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(options: PacedOptions): Promise<PacedServer> {
    const server = new PacedServer(options);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { reports, broken } = this.#options;
    if (request.url === '/health') return void response.end();
    if (request.url === '/v1/models') {
      return json(response, 200, { data: [{ id: 'm', object: 'model', owned_by: 'vllm' }] });
    }
    if (request.url === '/metrics' && reports) {
      const waiting = this.#queue.length;
      response.end(`vllm:num_requests_running ${this.#running}\nvllm:num_requests_waiting ${waiting}\n`);
      return;
    }
    if (request.url !== '/v1/chat/completions') return json(response, 404, { error: { message: 'none' } });
    let body = '';
    for await (const part of request) body += String(part);
    this.calls += 1;
    if (broken) return json(response, 500, { error: { message: 'broken' } });
    const { max_tokens: length } = JSON.parse(body) as { max_tokens: number };
    const work = () => {
      this.#running += 1;
      setTimeout(
        () => {
          this.#running -= 1;
          this.#queue.shift()?.();
          const message = { role: 'assistant', content: 'Yes.' };
          json(response, 200, { choices: [{ index: 0, message, finish_reason: 'stop' }] });
        },
        (this.#options.ms * length) / 100,
      );
    };
    if (this.#running < this.#options.slots) work();
    else this.#queue.push(work);
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
