import { messageOf } from '../../../pipelines/errors.js';
import type { Logger } from '../../../telemetry/logger.js';
import type { SharedModels } from './shared-models.js';

/** How long the store is left alone after an error. */
const ALONE_MS = 2_000;

/** The workers' agreement about a server's models, as far as the state store answers. */
export class StoreAccess {
  readonly #shared: SharedModels | undefined;
  readonly #endpoint: string;
  readonly #logger: Logger;
  #aloneUntil = Number.NEGATIVE_INFINITY;
  #failing = false;

  constructor(shared: SharedModels | undefined, endpoint: string, logger: Logger) {
    this.#shared = shared;
    this.#endpoint = endpoint;
    this.#logger = logger;
  }

  /** Undefined if there is no store, or if it does not answer. */
  async ask<T>(work: (shared: SharedModels) => Promise<T>): Promise<T | undefined> {
    if (!this.#shared || this.#aloneUntil > performance.now()) return undefined;
    try {
      const answer = await work(this.#shared);
      this.#failing = false;
      return answer;
    } catch (error) {
      const text = 'no model is unloaded by this worker while the state store is away';
      if (!this.#failing) this.#logger.warn({ endpoint: this.#endpoint, error: messageOf(error) }, text);
      this.#failing = true;
      this.#aloneUntil = performance.now() + ALONE_MS;
      return undefined;
    }
  }
}
