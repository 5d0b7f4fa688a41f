import type { IncomingMessage } from 'node:http';
import type { FastifyReply } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { readPacer } from './read-pacer.js';

/** How long a connection stays open to swallow a refused body, so that the client gets to read the refusal. */
const LINGER_MS = 10_000;

/**
 * The receiving of one request's body: ends with `REQUEST_TIMEOUT` when it takes too long and with `REQUEST_ABORTED` when
 * the client leaves, whichever part of it is being waited for.
 */
export class Upload {
  readonly #request: IncomingMessage;
  readonly #stop: () => void;
  /** Those who wait for bytes. A promise to race with would keep every chunk that ever won alive. */
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

  /** Waits for something that depends on the body's bytes. What fails because the client left says so. */
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

  /** The bytes of one file, at most `maxBytes` of them; above it, `BODY_TOO_LARGE`. */
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
      // Not awaited: the source may be waiting for bytes that never come.
      iterator.return?.().then(undefined, () => {});
    }
  }

  /**
   * The body itself as a file; `EMPTY_BODY` where there is none. Unlike the stream's own iterator it leaves the connection
   * open for the answer.
   */
  async *body(maxBytes: number): AsyncGenerator<Uint8Array, void> {
    let empty = true;
    for await (const chunk of this.file(this.#request.iterator({ destroyOnReturn: false }), maxBytes)) {
      empty = false;
      yield chunk;
    }
    if (empty) throw emptyBody();
  }

  /** Must be called when the body has arrived or been refused. */
  end(): void {
    this.#stop();
  }
}

const aborted = () => new MillraceError('REQUEST_ABORTED', 'the client left before the body had arrived');

export const emptyBody = (): MillraceError =>
  new MillraceError('EMPTY_BODY', 'the request has no body', { fields: [{ field: 'body', message: 'is empty' }] });

export const tooLarge = (maxBytes: number): MillraceError =>
  new MillraceError('BODY_TOO_LARGE', `the file is above the limit of ${maxBytes} bytes`);

/**
 * Takes what is left of a refused body from the connection, for a while. Closing at once would reset the connection and the
 * client, still sending, would never see the answer (RFC 9112 §9.6).
 */
export function swallowRest(request: IncomingMessage, reply?: FastifyReply): void {
  // Fastify asks for a close when it could not read a body: Node would do so as soon as the answer is sent.
  reply?.removeHeader('connection');
  if (request.complete || request.destroyed) return;
  request.unpipe();
  request.on('data', (piece: Buffer) => readPacer.came(request, piece.length)).resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, LINGER_MS);
  request.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
}
