import type { IncomingMessage } from 'node:http';
import type { FastifyReply } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { readPacer } from './read-pacer.js';

/**
 * How long the rest of a rejected body is read and discarded, in milliseconds, so that the client can read the
 * response.
 */
const LINGER_MS = 10_000;

/**
 * Receives one request body. Fails with `REQUEST_TIMEOUT` when it takes too long and with `REQUEST_ABORTED` when the
 * client disconnects, at any point.
 */
export class Upload {
  readonly #request: IncomingMessage;
  readonly #stop: () => void;
  /** Rejection callbacks of pending reads. Racing with one long-lived promise would keep every chunk alive. */
  readonly #waiting = new Set<(error: MillraceError) => void>();
  #broken: MillraceError | undefined;

  constructor(request: IncomingMessage, timeoutMs: number) {
    this.#request = request;
    const fail = (error: MillraceError) => {
      this.#broken ??= error;
      for (const reject of this.#waiting) reject(this.#broken);
    };
    const late = () => fail(new MillraceError('REQUEST_TIMEOUT', `the request did not arrive within ${timeoutMs} ms`));
    const left = () => {
      if (!request.complete) fail(aborted());
    };
    const timer = setTimeout(late, timeoutMs);
    request.once('close', left);
    this.#stop = () => {
      clearTimeout(timer);
      request.off('close', left);
    };
  }

  /**
   * Awaits a promise that depends on the body's bytes. Failures caused by the client's disconnect become
   * `REQUEST_ABORTED`.
   */
  arrival<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const refuse = (error: unknown) => {
        this.#waiting.delete(refuse);
        reject(this.#request.destroyed && !this.#request.complete ? aborted() : error);
      };
      this.#waiting.add(refuse);
      promise.then((value) => {
        this.#waiting.delete(refuse);
        resolve(value);
      }, refuse);
      if (this.#broken) refuse(this.#broken);
    });
  }

  /** Yields the bytes of one file. Throws `BODY_TOO_LARGE` above `maxBytes`. */
  async *file(bytes: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array, void> {
    const iterator = bytes[Symbol.asyncIterator]();
    let size = 0;
    try {
      for (;;) {
        const next = await this.arrival(iterator.next());
        if (next.done) return;
        size += next.value.length;
        if (size > maxBytes) throw tooLarge(maxBytes);
        yield next.value;
      }
    } finally {
      // Not awaited: the source may be blocked on bytes that never arrive.
      iterator.return?.().then(undefined, () => {});
    }
  }

  /**
   * Yields the body itself as a file; throws `EMPTY_BODY` if there is none. Unlike the stream's own iterator it leaves
   * the connection open for the response.
   */
  async *body(maxBytes: number): AsyncGenerator<Uint8Array, void> {
    let empty = true;
    for await (const chunk of this.file(this.#request.iterator({ destroyOnReturn: false }), maxBytes)) {
      empty = false;
      yield chunk;
    }
    if (empty) throw emptyBody();
  }

  /** Must be called when the body has arrived or was rejected. */
  end(): void {
    this.#stop();
  }
}

const aborted = () => new MillraceError('REQUEST_ABORTED', 'the client disconnected before the body had arrived');

export const emptyBody = (): MillraceError =>
  new MillraceError('EMPTY_BODY', 'the request has no body', { fields: [{ field: 'body', message: 'is empty' }] });

export const tooLarge = (maxBytes: number): MillraceError =>
  new MillraceError('BODY_TOO_LARGE', `the file is above the limit of ${maxBytes} bytes`);

/**
 * Reads and discards the rest of a rejected body for a while. Closing the connection at once would reset it, and the
 * client, still sending, would never see the response (RFC 9112 §9.6).
 */
export function swallowRest(request: IncomingMessage, reply?: FastifyReply): void {
  // Fastify requests a close when it could not read a body: Node would close as soon as the response is sent.
  reply?.removeHeader('connection');
  if (request.complete || request.destroyed) return;
  request.unpipe();
  // As if it were large: nothing waits for it.
  const rest = { tenant: '', size: Number.POSITIVE_INFINITY };
  request.on('data', (piece: Buffer) => readPacer.came(request, piece.length, rest)).resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, LINGER_MS);
  request.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
}
