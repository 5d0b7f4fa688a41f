import { MillraceError } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import type { Endpoint } from './endpoint.js';
import type { PoolConfig } from './models.js';

/** How long a fingerprint is cached: it changes only with the weights, i.e. with a deployment. */
const IDENTITY_MS = 10_000;
/**
 * Longest wait for one endpoint's fingerprint, which normally takes a millisecond: a hanging server must not delay a
 * stage.
 */
export const IDENTITY_TIMEOUT_MS = 2_000;

/** Identifies what a pool computes: the model's name and its weights' fingerprint. */
export class Identity {
  readonly #endpoints: readonly Endpoint[];
  readonly #config: PoolConfig;
  #known: { readonly value: string; readonly until: number } | undefined;

  /** @param endpoints may change */
  constructor(endpoints: readonly Endpoint[], config: PoolConfig) {
    this.#endpoints = endpoints;
    this.#config = config;
  }

  /**
   * A cached value outlives a server that is down, so that a cache can answer in its place.
   * @param empty the error if there are no endpoints
   */
  async read(signal: AbortSignal, empty: MillraceError | undefined): Promise<string> {
    if (this.#known && performance.now() < this.#known.until) return this.#known.value;
    const { connector, model } = this.#config;
    let failure: unknown;
    for (const { backend } of [...this.#endpoints]) {
      try {
        const print = await limited(IDENTITY_TIMEOUT_MS, signal, (own) => backend.fingerprint(model, own));
        const value = `${connector}/${model}@${print}`;
        this.#known = { value, until: performance.now() + IDENTITY_MS };
        return value;
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    if (this.#known) return this.#known.value;
    if (failure === undefined && empty) throw empty;
    throw failure instanceof MillraceError
      ? failure
      : new MillraceError('BACKEND_TIMEOUT', `${model}: no fingerprint within ${IDENTITY_TIMEOUT_MS} ms`);
  }
}
