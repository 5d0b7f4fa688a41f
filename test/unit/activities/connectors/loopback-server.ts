import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach } from 'vitest';

/** A request as it came. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A small HTTP server for answers that no real server can be made to give. `answer` says what comes next. */
export interface Loopback {
  url: string;
  received: Received[];
  answer: (response: ServerResponse, request: Received) => void;
  /** Every answer from now on. */
  gives(status: number, body: string | Buffer, headers?: Readonly<Record<string, string>>): void;
}

/** One for the tests of a file, started before them and stopped after. */
export function loopbackServer(): Loopback {
  const loopback: Loopback = {
    url: '',
    received: [],
    answer: (response) => void response.end(),
    gives(status, body, headers = {}) {
      this.answer = (response) => void response.writeHead(status, headers).end(body);
    },
  };
  // Else a connection that was idle while this process stood still is closed as the next request goes out on it.
  const server = createServer({ keepAliveTimeout: 0 }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = request;
    const received = { method, url, headers, body: Buffer.concat(chunks).toString() };
    loopback.received.push(received);
    loopback.answer(response, received);
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    loopback.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    loopback.received = [];
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return loopback;
}
