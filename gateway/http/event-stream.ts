import type { FastifyReply } from 'fastify';
import { SMALL_BYTES } from './response-memory.js';

/**
 * Interval of comments while there are no events, in milliseconds: below the 30 s after which many proxies close an
 * idle connection. They also detect that the client has disconnected.
 */
const KEEP_ALIVE_MS = 15_000;

/** How long the last bytes may take to reach the client at shutdown, in milliseconds. */
const LAST_BYTES_MS = 1_000;

export interface ServerEvent {
  readonly id?: string;
  readonly event?: string;
  /** JSON, without line breaks; as bytes if others get the same. */
  readonly data: string | Buffer;
}

/**
 * A response of server-sent events (WHATWG HTML, "Server-sent events"). `send` resolves when the connection accepts
 * more data, so that a slow client slows the producer.
 */
export class EventStream {
  readonly #reply: FastifyReply;
  readonly #left = new AbortController();
  readonly #keepAlive: NodeJS.Timeout;

  /**
   * Sends the status 200: later failures must be sent as events.
   * @param keepAliveMs interval of comments while there are no events
   */
  constructor(reply: FastifyReply, keepAliveMs = KEEP_ALIVE_MS) {
    this.#reply = reply;
    const { closing } = reply.server;
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      // Keeps nginx from buffering the events.
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
    this.#keepAlive = setInterval(() => raw.write(': \n\n'), keepAliveMs);
  }

  /** Aborts when the client disconnects, or at shutdown, when it should reconnect to another gateway. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /** A line that clients skip; without line breaks. */
  comment(text: string): void {
    if (!this.#left.signal.aborted) this.#reply.raw.write(`: ${text}\n\n`);
  }

  /** Throws `BODY_MEMORY_FULL` if too much is held for clients that do not read. */
  async send({ id, event, data }: ServerEvent): Promise<void> {
    if (this.#left.signal.aborted) return;
    const { response } = this.#reply.request;
    const counted = data.length > SMALL_BYTES ? data.length : 0;
    if (counted > 0) response?.take(counted);
    this.#keepAlive.refresh();
    const lines = [...(id === undefined ? [] : [`id: ${id}`]), ...(event === undefined ? [] : [`event: ${event}`])];
    const head = [...lines, 'data: '].join('\n');
    try {
      if (counted > 0 && Buffer.isBuffer(data)) await this.#written(head, data, '\n\n');
      else await this.#written(`${head}${data}\n\n`);
    } finally {
      response?.give(counted);
    }
  }

  /** Resolves when the connection accepts more, or the client has left. */
  async #written(...parts: readonly (string | Buffer)[]): Promise<void> {
    const { raw } = this.#reply;
    if (parts.map((part) => raw.write(part)).every(Boolean)) return;
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
    this.#reply.raw.end();
  }
}
