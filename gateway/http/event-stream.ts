import type { FastifyReply } from 'fastify';

/**
 * A comment is sent when nothing else has been for this long, in milliseconds: below the 30 s after which many proxies cut a
 * silent connection; it also finds out that a client has gone.
 */
const KEEP_ALIVE_MS = 15_000;

/** What is written already gets this long to reach the client when the gateway is to end, in milliseconds. */
const LAST_BYTES_MS = 1_000;

export interface ServerEvent {
  readonly id?: string;
  readonly event?: string;
  /** Without line breaks: JSON. */
  readonly data: string;
}

/**
 * An answer that is a stream of server-sent events (WHATWG HTML, "Server-sent events"). `send` resolves when the client's
 * connection takes more, so a slow one holds back whoever produces.
 */
export class EventStream {
  readonly #reply: FastifyReply;
  readonly #left = new AbortController();
  readonly #keepAlive: NodeJS.Timeout;

  /** From here on the answer's status is 200: what fails later has to be an event. */
  constructor(reply: FastifyReply) {
    this.#reply = reply;
    const { closing } = reply.server;
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      // nginx would collect the events and send them late.
      'x-accel-buffering': 'no',
    });
    raw.flushHeaders();
    const close = () => {
      this.#left.abort();
      setTimeout(() => raw.socket?.destroy(), LAST_BYTES_MS).unref();
    };
    closing.addEventListener('abort', close, { once: true });
    if (closing.aborted) close();
    if (raw.destroyed) this.#left.abort();
    raw.once('close', () => {
      closing.removeEventListener('abort', close);
      this.#left.abort();
    });
    raw.on('error', () => this.#left.abort());
    this.#keepAlive = setInterval(() => raw.write(': \n\n'), KEEP_ALIVE_MS);
  }

  /** Aborts when the client has gone, or is to go: it then comes back to another gateway. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  async send({ id, event, data }: ServerEvent): Promise<void> {
    const { raw } = this.#reply;
    if (this.#left.signal.aborted) return;
    this.#keepAlive.refresh();
    const lines = [...(id === undefined ? [] : [`id: ${id}`]), ...(event === undefined ? [] : [`event: ${event}`])];
    if (raw.write(`${[...lines, `data: ${data}`].join('\n')}\n\n`)) return;
    await new Promise<void>((resolve) => {
      const go = () => {
        raw.off('drain', go);
        this.#left.signal.removeEventListener('abort', go);
        resolve();
      };
      raw.once('drain', go);
      this.#left.signal.addEventListener('abort', go, { once: true });
    });
  }

  end(): void {
    clearInterval(this.#keepAlive);
    const { raw, server } = this.#reply;
    const { socket } = raw;
    // A connection that stays open for the client's next request would hold up the gateway's end.
    raw.once('finish', () => server.closing.aborted && socket?.destroySoon());
    raw.end();
  }
}
