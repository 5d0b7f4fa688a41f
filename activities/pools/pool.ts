import type { Redis } from 'ioredis';
import { errorRow, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { HedgePolicy } from '../../pipelines/plan/index.js';
import { limited } from '../../runtime/limited.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Backend } from '../connectors/connector.js';
import { CallQueue, type Slot, type SlotRequest } from './call-queue.js';
import { Endpoint, ITS_OWN } from './endpoint.js';
import { Healer } from './healer.js';
import { hedged } from './hedge.js';
import { HedgeBudget } from './hedge-budget.js';
import { Latencies } from './latencies.js';
import type { PoolConfig } from './models.js';
import { Monitor } from './monitor.js';
import { ejectOutlier } from './outliers.js';
import { Pace } from './pace.js';
import { RateLimit } from './rate-limit.js';
import { Recovery } from './recovery.js';

/** Where a call goes. */
export interface CallTarget {
  /** The model's name at the server. */
  readonly model: string;
  readonly url: string;
  readonly device: string;
  /** Set for the second call of a hedge. */
  readonly hedge?: true;
}

/** One call. It ends within a second of its signal's abort. */
export type Work<T> = (backend: Backend, at: CallTarget, signal: AbortSignal) => Promise<T>;

export interface UseOptions extends SlotRequest {
  /** Tenant whose rate limit applies. Default `default`. */
  readonly tenant?: string | undefined;
  readonly hedge?: HedgePolicy | undefined;
}

export interface PoolParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Interval between canaries of an endpoint without traffic. */
  readonly canaryIntervalMs: number;
  readonly backendOf: (url: string) => Backend;
  /** Counts rate limits over all workers; absent: each worker counts only its own calls. */
  readonly redis?: Redis | undefined;
}

/** How long a fingerprint is cached: it changes only with the weights, i.e. with a deployment. */
const IDENTITY_MS = 10_000;
/**
 * Longest wait for one endpoint's fingerprint, which normally takes a millisecond: a hanging server must not delay a
 * stage.
 */
const IDENTITY_TIMEOUT_MS = 2_000;

/** The endpoints that serve one model. */
export class Pool {
  readonly #name: string;
  readonly #config: PoolConfig;
  readonly #metrics: Metrics;
  readonly #endpoints: readonly Endpoint[];
  readonly #queue: CallQueue;
  readonly #healer: Healer;
  readonly #recovery: Recovery;
  readonly #pace = new Pace();
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #rateLimit: RateLimit | undefined;
  readonly #latencies = new Latencies();
  readonly #hedgeBudget = new HedgeBudget();
  #identity: { readonly value: string; readonly until: number } | undefined;

  constructor(name: string, config: PoolConfig, { metrics, logger, canaryIntervalMs, backendOf, redis }: PoolParts) {
    this.#name = name;
    this.#config = config;
    this.#metrics = metrics;
    this.#rateLimit = config.rateLimit && new RateLimit(name, config.rateLimit, redis);
    this.#endpoints = config.endpoints.map((endpoint) => new Endpoint(endpoint, backendOf(endpoint.url)));
    this.#logger = logger;
    this.#queue = new CallQueue(this.#endpoints, (away) => this.#noneThere(away));
    const { connector, model, kind } = config;
    const off = config.heal === 'off';
    const closing = this.#closing.signal;
    const changed = () => this.#queue.next();
    const probe = ({ backend }: Endpoint, ms: number) =>
      limited(ms, closing, (signal) => backend.fingerprint(model, signal));
    this.#recovery = new Recovery({ probe, closing, changed });
    this.#healer = new Healer({ name, connector, model, kind, off, redis, metrics, logger, closing, changed });
    for (const endpoint of this.#endpoints) {
      // Without support for repairs a canary would have only costs, at some servers in money.
      if (endpoint.backend.heal === undefined) continue;
      new Monitor(endpoint, {
        name,
        healer: this.#healer,
        off,
        intervalMs: canaryIntervalMs,
        logger,
        closing,
        changed,
      });
    }
  }

  /**
   * One call: waits for a slot, then runs `work` with the chosen endpoint's backend; once, with `hedge` at most twice.
   * Throws what `work` throws, the signal's reason if it aborts during the wait, `BACKEND_UNAVAILABLE` at once if no
   * endpoint can be reached, `QUEUE_TIMEOUT` if the wait exceeds `queueMs`, and `RATE_LIMITED` if it has a slot but its
   * rate limit is used up: a call without a slot consumes no token.
   */
  async use<T>(work: Work<T>, options: UseOptions): Promise<T> {
    const { signal, tenant = 'default', hedge } = options;
    signal.throwIfAborted();
    this.#recovery.wanted(this.#endpoints);
    const slot = await this.#queue.acquire(options);
    await this.#admit(slot, tenant);
    this.#hedgeBudget.called();
    const startedAt = performance.now();
    const afterMs = hedge && this.#hedgeAfter(hedge);
    const result = await (afterMs === undefined
      ? this.#call(slot, work, signal)
      : hedged({
          afterMs,
          signal,
          first: (own) => this.#call(slot, work, own),
          second: () => this.#second(slot.endpoint, work, tenant),
          ended: (outcome) => this.#metrics.hedges.inc({ model: this.#name, outcome }),
        }));
    // If the second call of a hedge won, the first call's time so far is recorded, a lower bound. The second call's own
    // time would lower the percentile, and hedges would start earlier and earlier.
    this.#latencies.add(performance.now() - startedAt);
    return result;
  }

  /**
   * Identifies what the pool computes: the model's name and its weights' fingerprint. A cached value outlives a server
   * that is down, so that a cache can answer in its place.
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

  /** Number of endpoints that do not answer a query that runs no model. */
  async reach(signal: AbortSignal): Promise<{ away: number; of: number }> {
    const { model } = this.#config;
    const answers = this.#endpoints.map(({ backend }) =>
      limited(IDENTITY_TIMEOUT_MS, signal, (own) => backend.fingerprint(model, own)),
    );
    const settled = await Promise.allSettled(answers);
    return { away: settled.filter(({ status }) => status === 'rejected').length, of: settled.length };
  }

  /** Its endpoints on a device, with the model's name there. */
  on(device: string): readonly { readonly endpoint: Endpoint; readonly model: string }[] {
    const { model } = this.#config;
    return this.#endpoints.filter((each) => each.device === device).map((endpoint) => ({ endpoint, model }));
  }

  /** Ends canaries and repairs. Calls in flight continue. */
  close(): void {
    this.#closing.abort(new Error(`pool ${this.#name} is closed`));
  }

  /** When a call is late, in milliseconds; undefined with too few successful calls to decide. */
  #hedgeAfter({ afterMs, percentile }: HedgePolicy): number | undefined {
    return percentile === undefined ? afterMs : this.#latencies.percentile(percentile);
  }

  /** The second call of a hedge, if there is a free slot, no call waits for it and the budget allows it. */
  #second<T>(late: Endpoint, work: Work<T>, tenant: string): ((signal: AbortSignal) => Promise<T>) | undefined {
    const slot = this.#queue.spare(late);
    if (slot === undefined) return undefined;
    if (!this.#hedgeBudget.take()) {
      this.#queue.release(slot);
      return undefined;
    }
    return async (signal) => {
      await this.#admit(slot, tenant);
      return this.#call(slot, work, signal, true);
    };
  }

  /** Takes the rate limit's tokens for a call that holds a slot; releases the slot if there are none. */
  async #admit(slot: Slot, tenant: string): Promise<void> {
    try {
      await this.#rateLimit?.take(tenant);
    } catch (error) {
      this.#queue.release(slot);
      throw error;
    }
  }

  async #call<T>(slot: Slot, work: Work<T>, signal: AbortSignal, isHedge = false): Promise<T> {
    const { endpoint } = slot;
    const { url, device } = endpoint;
    const { connector, model } = this.#config;
    this.#gauge(endpoint);
    const startedAt = performance.now();
    let code = 'ok';
    try {
      const result = await work(endpoint.backend, { model, url, device, ...(isHedge && { hedge: true }) }, signal);
      endpoint.succeeded();
      return result;
    } catch (error) {
      code = signal.aborted ? 'aborted' : error instanceof MillraceError ? error.code : 'INTERNAL';
      // A timed-out attempt counts against the endpoint; a cancelled one does not.
      if (signal.aborted) {
        if (signal.reason instanceof MillraceError) this.#failed(endpoint, signal.reason, startedAt);
        throw error;
      }
      this.#failed(endpoint, error, startedAt);
      throw this.#about(endpoint, error);
    } finally {
      this.#metrics.backendCalls.inc({ connector, model: this.#name, endpoint: url, code });
      this.#queue.release(slot);
      this.#gauge(endpoint);
    }
  }

  #failed(endpoint: Endpoint, error: unknown, startedAt: number): void {
    const wasThere = endpoint.away === undefined;
    endpoint.failed(error);
    const fields = { model: this.#name, endpoint: endpoint.url, error: messageOf(error) };
    if (wasThere && endpoint.away) {
      this.#logger.warn(fields, 'model server cannot be reached');
      this.#recovery.wanted(this.#endpoints);
    }
    const outMs = ejectOutlier(endpoint, this.#endpoints);
    if (outMs !== undefined) {
      this.#metrics.ejections.inc({ model: this.#name, endpoint: endpoint.url });
      this.#logger.warn(
        { ...fields, outMs: Math.round(outMs) },
        'endpoint ejected: it fails more often than the others',
      );
    }
    // Calls that waited for a dead process fail one by one long after the repair: those failures are ignored.
    if (startedAt < endpoint.verifiedAt) return;
    if (error instanceof MillraceError && errorRow(error.code).retry === 'heal') this.#healer.start(endpoint);
  }

  /** Adds the failed endpoint, so that the next attempt avoids it, and whether another endpoint may succeed. */
  #about({ url }: Endpoint, error: unknown): unknown {
    if (!(error instanceof MillraceError) || !ITS_OWN.has(error.code)) return error;
    const { code, message, details, cause } = error;
    // One of several keys or servers may be misconfigured while others work.
    const accepts = ({ url: other, isOut, outcomes: { count } }: Endpoint) =>
      other !== url && !isOut && (count.calls === 0 || count.failures < count.calls);
    const elsewhere = code === 'BACKEND_UNAUTHORIZED' && this.#endpoints.some(accepts);
    if (!elsewhere && details.endpoint !== undefined) return error;
    return new MillraceError(code, message, { endpoint: url, ...details, ...(elsewhere && { elsewhere }) }, { cause });
  }

  /** The error for a call without a reachable endpoint; nothing was sent. */
  #noneThere({ message, details }: MillraceError): MillraceError {
    const retryAfterMs = this.#pace.turnedAway();
    const { endpoint } = details;
    return new MillraceError('BACKEND_UNAVAILABLE', message, {
      unsent: true,
      pool: this.#name,
      ...(endpoint !== undefined && { endpoint }),
      ...(retryAfterMs > 0 && { retryAfterMs }),
    });
  }

  #gauge({ url, outstanding }: Endpoint): void {
    this.#metrics.poolOutstanding.set({ model: this.#name, endpoint: url }, outstanding);
  }
}
