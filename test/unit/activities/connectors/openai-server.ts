import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Backend, Call, CallContext, PoolOptions, Reply } from '../../../../activities/connectors/connector.js';
import { openAiConnector } from '../../../../activities/connectors/openai/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';

export const API_KEY = 'sk-very-secret-key';

/** What one request brought: JSON bodies read, others as bytes. */
export interface Received {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** The client's end of the connection. */
  readonly port: number | undefined;
  readonly bytes: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: whatever was sent
  readonly body: any;
}

/** A fixture of test/fixtures/openai: a stream's events or a body, and where they are from. */
export interface Exchange {
  readonly origin: string;
  readonly type: string;
  readonly events?: readonly object[];
  readonly done?: boolean;
  readonly body?: object;
}

export const fixture = <T = Exchange>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../../../fixtures/openai/${name}.json`, import.meta.url), 'utf8')) as T;

/**
 * A server of OpenAI's API that answers as it is told: for what no server that runs here can be brought to do. Everything
 * else is in test/contract/openai.test.ts, against the real one.
 */
export class SimulatedServer {
  readonly received: Received[] = [];
  answer: (response: ServerResponse, request: Received) => void = (response) => response.writeHead(500).end();
  /** What `/v1/models` answers; a text is sent as it is. */
  models: { status: number; body: unknown } = { status: 404, body: {} };
  /** How often the models were asked for, and whether that is left without an answer. */
  listed = 0;
  listsNothing = false;
  /** Answers whose connection the client has left before their end. */
  abandoned = 0;
  // Else a connection that was idle while this process stood still is closed as the next request goes out on it.
  readonly #server = createServer({ keepAliveTimeout: 0 }, (request, response) => void this.#listen(request, response));

  static async start(): Promise<SimulatedServer> {
    const started = new SimulatedServer();
    await new Promise<void>((resolve) => started.#server.listen(0, '127.0.0.1', resolve));
    return started;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  connect(options?: PoolOptions): Backend {
    return openAiConnector().connect(this.endpoint, API_KEY, options);
  }

  json(status: number, body: unknown, headers: Record<string, string> = {}): void {
    const text = typeof body === 'string' && body.startsWith('<') ? body : JSON.stringify(body);
    const type = text.startsWith('<') ? 'text/html' : 'application/json';
    this.answer = (response) => void response.writeHead(status, { 'content-type': type, ...headers }).end(text);
  }

  /** Events, one write each; the end as servers write it where `done`, else nothing more: the connection closes. */
  events(events: readonly unknown[], done = true): void {
    this.answer = async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const event of events) {
        response.write(`data: ${JSON.stringify(event)}\n\n`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end(done ? 'data: [DONE]\n\n' : '');
    };
  }

  replay({ events, done, body }: Exchange): void {
    if (events) this.events(events, done);
    else this.json(200, body);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #listen(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (request.url === '/v1/models') {
      this.listed += 1;
      if (this.listsNothing) return;
      const { status, body } = this.models;
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
      return;
    }
    response.on('close', () => {
      if (!response.writableFinished) this.abandoned += 1;
    });
    const { url = '', headers } = request;
    const body = headers['content-type']?.includes('json') ? JSON.parse(bytes.toString()) : undefined;
    const received = { url, headers, port: request.socket.remotePort, bytes, body };
    this.received.push(received);
    this.answer(response, received);
  }
}

const unused = (): never => {
  throw new Error('no audio here');
};

/** A chunk of a streamed chat completion. */
export const chunk = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});

/** One call of a backend with what its context says, and what it emits. */
export function invoke(
  backend: Backend,
  call: Partial<Call> & Pick<Call, 'kind'>,
  context: Partial<CallContext> = {},
): Promise<Reply & { chunks: (string | number)[] }> {
  const chunks: (string | number)[] = [];
  const whole: CallContext = {
    signal: AbortSignal.timeout(110_000),
    audio: { read: unused, write: unused },
    checkpoint: () => undefined,
    emit: (piece) => void chunks.push(piece),
    ...context,
  };
  return backend
    .invoke({ model: 'm', with: {}, input: { prompt: 'Capital of France?', text: 'France' }, ...call }, whole)
    .then((reply) => ({ ...reply, chunks }));
}

export async function failure(promise: Promise<unknown>): Promise<MillraceError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MillraceError)) throw new Error(`expected a MillraceError, got ${String(error)}`);
  return error;
}
