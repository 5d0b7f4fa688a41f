import { type ErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Endpoint } from './endpoint.js';
import type { Healer } from './healer.js';

export interface MonitorParts {
  readonly name: string;
  readonly healer: Healer;
  /** No canaries but of a model that is known to be broken. */
  readonly off: boolean;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly closing: AbortSignal;
  /** Called when an endpoint's state may have changed. */
  readonly changed: () => void;
}

/**
 * Canary of one endpoint of a pool, so that a dead model is repaired before a caller's call fails. It is skipped while
 * real calls succeed, and does not affect a server that is down: restarting it is its supervisor's task.
 */
export class Monitor {
  readonly #endpoint: Endpoint;
  readonly #parts: MonitorParts;
  #lastCode: ErrorCode | undefined;

  constructor(endpoint: Endpoint, parts: MonitorParts) {
    this.#endpoint = endpoint;
    this.#parts = parts;
    this.#schedule();
  }

  /** Between 75 and 125 % of the interval, so that workers and models started together do not probe together. */
  #schedule(): void {
    const { intervalMs, closing } = this.#parts;
    const timer = setTimeout(
      () => {
        if (!closing.aborted) void this.#check().finally(() => this.#schedule());
      },
      intervalMs * (0.75 + Math.random() / 2),
    );
    timer.unref();
  }

  /** Never rejects. */
  async #check(): Promise<void> {
    const endpoint = this.#endpoint;
    const { name, healer, off, intervalMs, logger, changed } = this.#parts;
    // A server without support for repairs removes its backend's `heal`; a broken model there is only watched.
    if ((off || endpoint.backend.heal === undefined) && !endpoint.broken) return;
    if (endpoint.healing || performance.now() - endpoint.succeededAt < intervalMs) return;
    const before = this.#lastCode;
    try {
      await healer.probe(endpoint);
      this.#lastCode = undefined;
      endpoint.verified();
      changed();
    } catch (error) {
      endpoint.failed(error);
      changed();
      this.#lastCode = error instanceof MillraceError ? error.code : undefined;
      logger.warn(
        { model: name, endpoint: endpoint.url, code: this.#lastCode, error: messageOf(error) },
        'canary failed',
      );
      if (this.#lastCode === 'BACKEND_BROKEN') healer.start(endpoint);
      // Twice in a row: a client unloaded the model without loading it again, e.g. a worker that died during a repair.
      if (this.#lastCode === 'MODEL_NOT_FOUND' && before === 'MODEL_NOT_FOUND') {
        healer.start(endpoint, ['BACKEND_BROKEN', 'MODEL_NOT_FOUND']);
      }
    }
  }
}
