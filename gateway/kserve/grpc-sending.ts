import type { Writable } from 'node:stream';

/**
 * Sends the responses of a stream as its client reads them: `send` resolves when the response has left this process, or the client
 * has. Who waits for it holds no more responses than it sends at once.
 */
export class GrpcSending {
  readonly #stream: Pick<Writable, 'write'>;
  readonly #gone: AbortSignal;
  /** Of the responses that are being sent. A write to a stream that is destroyed may never be reported. */
  readonly #waiting = new Set<() => void>();

  /** @param gone aborts when the client has left */
  constructor(stream: Pick<Writable, 'write'>, gone: AbortSignal) {
    this.#stream = stream;
    this.#gone = gone;
    gone.addEventListener(
      'abort',
      () => {
        for (const resolve of this.#waiting) resolve();
        this.#waiting.clear();
      },
      { once: true },
    );
  }

  send(response: object): Promise<void> {
    if (this.#gone.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      this.#stream.write(response, () => {
        this.#waiting.delete(resolve);
        resolve();
      });
    });
  }
}
