import { errorRow, MillraceError } from '../../pipelines/errors.js';
import type { Backend } from '../connectors/connector.js';
import { limited } from '../limited.js';
import type { Logger } from '../logger.js';
import type { Metrics } from '../metrics.js';
import { Endpoint } from './endpoint.js';
import { Healer } from './healer.js';
import type { PoolConfig } from './models.js';
import { Monitor } from './monitor.js';
import { Turns } from './turns.js';

/** Where a call goes. */
export interface Place {
  /** The model's name at the server. */
  readonly model: string;
  readonly url: string;
  readonly device: string;
}

export interface PoolParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Time between two canaries of an endpoint that sees no traffic. */
  readonly canaryIntervalMs: number;
  readonly backendOf: (url: string) => Backend;
}

/** How long a fingerprint is believed: it changes when weights do, which is a deployment. */
const IDENTITY_MS = 10_000;
/** Longest wait for one endpoint's fingerprint, which takes it a millisecond: a server that hangs must not hold a stage up. */
const IDENTITY_TIMEOUT_MS = 2_000;

/** The endpoints that serve one model. */
export class Pool {
  readonly #name: string;
  readonly #config: PoolConfig;
  readonly #metrics: Metrics;
  readonly #endpoints: readonly Endpoint[];
  readonly #turns: Turns;
  readonly #healer: Healer;
  readonly #closing = new AbortController();
  #identity: { readonly value: string; readonly until: number } | undefined;

  constructor(name: string, config: PoolConfig, { metrics, logger, canaryIntervalMs, backendOf }: PoolParts) {
    this.#name = name;
    this.#config = config;
    this.#metrics = metrics;
    this.#endpoints = config.endpoints.map((endpoint) => new Endpoint(endpoint, backendOf(endpoint.url)));
    this.#turns = new Turns(this.#endpoints);
    const { connector, model, kind } = config;
    const closing = this.#closing.signal;
    const changed = () => this.#turns.next();
    this.#healer = new Healer({ name, connector, model, kind, metrics, logger, closing, changed });
    for (const endpoint of this.#endpoints) {
      // Where nothing can be repaired a canary would only cost: at some servers, money.
      if (endpoint.backend.heal === undefined) continue;
      new Monitor(endpoint, { name, healer: this.#healer, intervalMs: canaryIntervalMs, logger, closing });
    }
  }

  /**
   * One call: waits for room, then runs `work` with the backend of the endpoint chosen, once. Throws what `work` throws, or
   * the signal's reason if it aborts while waiting.
   */
  async use<T>(work: (backend: Backend, at: Place) => Promise<T>, signal: AbortSignal): Promise<T> {
    const endpoint = await this.#turns.acquire(signal);
    const { url, device } = endpoint;
    this.#gauge(endpoint);
    const startedAt = performance.now();
    let code = 'ok';
    try {
      const result = await work(endpoint.backend, { model: this.#config.model, url, device });
      endpoint.succeeded();
      return result;
    } catch (error) {
      code = signal.aborted ? 'aborted' : error instanceof MillraceError ? error.code : 'INTERNAL';
      // An attempt that ran out of time says something of the endpoint; one that was cancelled does not.
      if (!signal.aborted) this.#failed(endpoint, error, startedAt);
      else if (signal.reason instanceof MillraceError) endpoint.failed(signal.reason);
      throw error;
    } finally {
      this.#metrics.backendCalls.inc({ connector: this.#config.connector, model: this.#name, endpoint: url, code });
      this.#turns.release(endpoint);
      this.#gauge(endpoint);
    }
  }

  /**
   * Identifies what the pool computes: the model's name and the fingerprint of its weights. Known ones outlive a server
   * that is down, so that a cache can answer in its stead.
   */
  async identity(signal: AbortSignal): Promise<string> {
    if (this.#identity && performance.now() < this.#identity.until) return this.#identity.value;
    const { connector, model } = this.#config;
    let failure: unknown;
    for (const { backend } of this.#endpoints) {
      try {
        const print = await limited(IDENTITY_TIMEOUT_MS, signal, (own) => backend.fingerprint(model, own));
        const value = `${connector}/${model}@${print}`;
        this.#identity = { value, until: performance.now() + IDENTITY_MS };
        return value;
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    if (this.#identity) return this.#identity.value;
    throw failure instanceof MillraceError
      ? failure
      : new MillraceError('BACKEND_TIMEOUT', `${model}: no fingerprint within ${IDENTITY_TIMEOUT_MS} ms`);
  }

  /** Ends canaries and repairs. Calls in flight go on. */
  close(): void {
    this.#closing.abort(new Error(`pool ${this.#name} is closed`));
  }

  #failed(endpoint: Endpoint, error: unknown, startedAt: number): void {
    endpoint.failed(error);
    // Calls that waited for a dead process fail one by one, long after the model was repaired: that is old news.
    if (startedAt < endpoint.verifiedAt) return;
    if (error instanceof MillraceError && errorRow(error.code).retry === 'heal') this.#healer.start(endpoint);
  }

  #gauge({ url, outstanding }: Endpoint): void {
    this.#metrics.poolOutstanding.set({ model: this.#name, endpoint: url }, outstanding);
  }
}
