import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Endpoint } from './endpoint.js';
import type { Healer } from './healer.js';

/** Longest wait for a server's report of its health, which normally takes a millisecond. */
const ANSWER_MS = 2_000;

export interface WarmUpParts {
  readonly name: string;
  readonly model: string;
  readonly healer: Pick<Healer, 'probe'>;
  readonly logger: Logger;
  readonly closing: AbortSignal;
  /** Called when an endpoint's state has changed. */
  readonly changed: () => void;
}

/**
 * Admits endpoints to traffic, where servers report their health: a server that loads its model is not ready, which is
 * no failure, and a ready one first gets a single small call, because the first call of many engines compiles or
 * allocates. Calls wait meanwhile, or go to other endpoints.
 */
export class WarmUp {
  readonly #parts: WarmUpParts;
  readonly #under = new Set<Endpoint>();

  constructor(parts: WarmUpParts) {
    this.#parts = parts;
  }

  /** A call has arrived. Runs for every call, so it does nothing once the endpoints have started. */
  wanted(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      if (endpoint.starting && endpoint.away === undefined) this.#admit(endpoint);
    }
  }

  /** The endpoint is back: it has to show again that it is ready. */
  start(endpoint: Endpoint): void {
    if (endpoint.backend.ready === undefined) return;
    endpoint.starting = true;
    this.#admit(endpoint);
  }

  /** Polls the endpoint's health. Rejects if it is not ready or does not answer. */
  async check(endpoint: Endpoint, ms: number, signal: AbortSignal): Promise<void> {
    const { model, changed } = this.#parts;
    try {
      await limited(ms, signal, async (own) => endpoint.backend.ready?.(model, own));
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE' && endpoint.away === undefined) {
        this.#notReady(endpoint, error);
        changed();
      }
      throw error;
    }
    if (endpoint.away !== undefined) {
      this.start(endpoint);
      endpoint.reachable();
      changed();
    } else if (endpoint.starting) this.#admit(endpoint);
  }

  /** Once at a time for an endpoint. Never rejects. */
  #admit(endpoint: Endpoint): void {
    if (this.#under.has(endpoint)) return;
    this.#under.add(endpoint);
    endpoint.awaitStart();
    void this.#run(endpoint).finally(() => this.#under.delete(endpoint));
  }

  async #run(endpoint: Endpoint): Promise<void> {
    const { name, model, healer, logger, closing, changed } = this.#parts;
    try {
      const known = await limited(ANSWER_MS, closing, async (signal) => endpoint.backend.ready?.(model, signal));
      // A server that does not report its health may charge for each call.
      if (known === true) await healer.probe(endpoint);
      endpoint.starting = false;
    } catch (error) {
      if (closing.aborted) return;
      if (error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE') this.#notReady(endpoint, error);
      else {
        // Any other failure is for the calls to find out, whose errors say more.
        endpoint.starting = false;
        logger.warn({ model: name, endpoint: endpoint.url, error: messageOf(error) }, 'warm-up call failed');
      }
    }
    changed();
  }

  #notReady(endpoint: Endpoint, error: MillraceError): void {
    endpoint.starting = true;
    endpoint.notReady(error);
    this.#parts.logger.info(
      { model: this.#parts.name, endpoint: endpoint.url, error: error.message },
      'model server is not ready',
    );
  }
}
