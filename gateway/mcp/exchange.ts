import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Headers that the SDK reads. */
const HEADERS = ['accept', 'content-type', 'mcp-protocol-version', 'mcp-method', 'mcp-name', 'mcp-session-id'];

/** The request as the SDK takes it; its body has been read. */
export function webRequest({ headers, url }: FastifyRequest, base: string, signal: AbortSignal): Request {
  const kept = new Headers();
  for (const name of HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') kept.set(name, value);
  }
  return new Request(new URL(url, base), { method: 'POST', headers: kept, signal });
}

/** Sends the SDK's response as its parts arrive. */
export class Answer {
  readonly #raw: ServerResponse;
  #begun = false;
  #before = '';
  /** Resolves when the client has read what was written. */
  #read: Promise<void> = Promise.resolve();

  /** Takes the connection over from the framework. */
  constructor(reply: FastifyReply) {
    reply.hijack();
    this.#raw = reply.raw;
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) this.#raw.setHeader(name, value);
    }
  }

  /** Sends the head, and all parts of the body. */
  async send({ status, headers, body }: Response): Promise<void> {
    const raw = this.#raw;
    if (raw.destroyed) return void (await body?.cancel());
    for (const [name, value] of headers) raw.setHeader(name, value);
    raw.writeHead(status);
    raw.flushHeaders();
    this.#begun = true;
    if (this.#before !== '') raw.write(this.#before);
    if (body === null) return void raw.end();
    const reader = body.getReader();
    raw.once('close', () => void reader.cancel().catch(() => undefined));
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (!raw.write(part.value)) this.#read = drained(raw);
      await this.#read;
    }
    raw.end();
  }

  /** Resolves when the client has read what was written to it, or has left: whoever sends more waits for it. */
  read(): Promise<void> {
    return this.#read;
  }

  /** Adds a frame to a stream of events, between those of the SDK. */
  add(frame: string): void {
    if (!this.#begun) this.#before += frame;
    else if (!this.#raw.write(frame)) this.#read = drained(this.#raw);
  }
}

const drained = (raw: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      raw.off('drain', done).off('close', done);
      resolve();
    };
    raw.once('drain', done).once('close', done);
    if (raw.destroyed) done();
  });
