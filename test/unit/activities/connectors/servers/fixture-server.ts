import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as a fixture of a serving system gets it. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly bytes: Buffer;
  /** The body as JSON; undefined if it is none. */
  readonly json: Body | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: a fixture reads the bodies that it knows
export type Body = any;

/** What a fixture answers: a body, or texts one after the other. */
export interface Told {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly text?: string;
  readonly parts?: readonly (string | Uint8Array)[];
  /** Nothing is answered until the client leaves. */
  readonly never?: true;
}

export interface Fixture {
  readonly url: string;
  readonly asked: Asked[];
  close(): Promise<void>;
}

/** An event of a streamed chat completion. */
export const chatDelta = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;

/** Between the parts of a streamed answer: each arrives alone. */
const PAUSE_MS = 15;

/** A serving system as far as its documentation and client describe it, on a port of its own. */
export async function fixture(tell: (asked: Asked) => Told | Promise<Told>): Promise<Fixture> {
  const asked: Asked[] = [];
  // Else a connection that was idle while this process stood still is closed as the next request goes out on it.
  const server: Server = createServer({ keepAliveTimeout: 0 }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fixture');
    const bytes = Buffer.concat(chunks);
    const text = bytes.toString('utf8');
    const one: Asked = {
      method: request.method ?? '',
      path: pathname,
      query: searchParams,
      headers: request.headers,
      text,
      bytes,
      json: jsonOf(text),
    };
    asked.push(one);
    const { status = 200, headers = {}, json, text: said, parts, never } = await tell(one);
    if (never) return;
    const type = json === undefined ? 'text/plain; charset=utf-8' : 'application/json';
    response.writeHead(status, { 'content-type': type, ...headers });
    for (const part of parts ?? []) {
      response.write(part);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    response.end(json === undefined ? said : JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function jsonOf(text: string): Body | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
