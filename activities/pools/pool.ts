import { errorRow, MillraceError, messageOf } from '../../pipelines/errors.js';
import { canonicalJson, type Json } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { limited, untilAborted } from '../../runtime/limited.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { CallQueue, type Slot } from './call-queue.js';
import { Discoverer } from './discovery/index.js';
import { Endpoint } from './endpoint.js';
import { failureAt, isOfAnother } from './failure-at.js';
import { Healer } from './healer.js';
import { hedged, isBeaten } from './hedge.js';
import { HedgeBudget } from './hedge-budget.js';
import { IDENTITY_TIMEOUT_MS, Identity } from './identity.js';
import { Latencies } from './latencies.js';
import { Gathering } from './micro-batch/index.js';
import { isLoading, Residency } from './model-cache/index.js';
import type { EndpointConfig, PoolConfig } from './models.js';
import { Monitor } from './monitor.js';
import { ejectOutlier } from './outliers.js';
import { Pace } from './pace.js';
import type { PoolParts, UseOptions, Work } from './pool-parts.js';
import { prefixBlocks } from './prefixes.js';
import { RateLimit } from './rate-limit.js';
import { Recovery } from './recovery.js';
import { WarmUp } from './warm-up.js';

/** Longest wait of a hedge for a slot that workers share, in milliseconds; the store grants one within a few. */
const GRANT_MS = 500;

/** The endpoints that serve one model. */
export class Pool {
  readonly #name: string;
  readonly #config: PoolConfig;
  readonly #metrics: Metrics;
  /** Changed in place: the queue has the same list. */
  readonly #endpoints: Endpoint[] = [];
  readonly #parts: PoolParts;
  /** A call has come: endpoints that are found get ready at once. */
  #used = false;
  readonly #gone = new Map<Endpoint, AbortController>();
  readonly #warmUp: WarmUp;
  readonly #queue: CallQueue;
  readonly #healer: Healer;
  readonly #recovery: Recovery;
  readonly #pace = new Pace();
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #rateLimit: RateLimit | undefined;
  readonly #latencies = new Latencies();
  readonly #hedgeBudget = new HedgeBudget();
  readonly #gathering: Gathering | undefined;
  readonly #identity: Identity;
  readonly #searched: Promise<void> | undefined;
  readonly #residency: Residency | undefined;

  constructor(name: string, config: PoolConfig, parts: PoolParts) {
    const { metrics, logger, redis, discovery, zone, modelsOf: serverOf } = parts;
    this.#name = name;
    this.#config = config;
    this.#parts = parts;
    this.#metrics = metrics;
    this.#identity = new Identity(this.#endpoints, config);
    this.#rateLimit = config.rateLimit && new RateLimit(name, config.rateLimit, redis);
    this.#logger = logger;
    this.#queue = new CallQueue(this.#endpoints, (away) => this.#noneThere(away), zone);
    const { connector, model, kind, load, microBatch } = config;
    this.#residency = load && serverOf && new Residency({ name, model, load, serverOf, endpoints: this.#endpoints });
    if (microBatch && parts.joining) {
      const sent = (calls: number) => metrics.batchCalls.observe({ model: name }, calls);
      this.#gathering = new Gathering({ config: microBatch, joining: parts.joining, sent });
    }
    const off = config.heal === 'off';
    const [closing, changed] = [this.#closing.signal, this.#changed];
    this.#healer = new Healer({ name, connector, model, kind, off, redis, metrics, logger, closing, changed });
    this.#warmUp = new WarmUp({ name, model, healer: this.#healer, logger, closing, changed });
    const probe = ({ backend }: Endpoint, ms: number) =>
      limited(ms, closing, async (signal) =>
        backend.ready ? void (await backend.ready(model, signal)) : void (await backend.fingerprint(model, signal)),
      );
    const back = (endpoint: Endpoint) => this.#warmUp.start(endpoint);
    this.#recovery = new Recovery({ probe, back, closing, changed });
    if (!discovery) {
      this.#set(config.endpoints);
      return;
    }
    this.#searched = new Discoverer({
      name,
      config,
      discovery,
      logger,
      closing,
      everyMs: parts.discoveryMs,
      found: (endpoints) => {
        this.#queue.empty = endpoints.length === 0 ? this.#undiscovered('no server has been found') : undefined;
        this.#set(endpoints);
      },
      failed: (error) => {
        this.#queue.empty = this.#undiscovered(messageOf(error));
        changed();
      },
    }).searched;
  }

  /** What its model takes beside text. Undefined: unknown. */
  get modalities(): PoolConfig['modalities'] {
    return this.#config.modalities;
  }

  /**
   * Blocks of a prompt for `UseOptions.prefix`. Undefined unless calls go by prefix. Tenants have no block in common,
   * because servers keep their caches apart by a salt, unless `cacheSalt` is `off`.
   */
  prefixOf(tenant: string, prompt: () => string): string[] | undefined {
    const { affinity, model, options } = this.#config;
    if (affinity !== 'prefix') return undefined;
    return prefixBlocks(canonicalJson([model, options?.cacheSalt === 'off' ? null : tenant]), prompt());
  }

  readonly #changed = () => this.#queue.next();

  #undiscovered = (why: string) => new MillraceError('BACKEND_UNAVAILABLE', `endpoints of ${this.#name}: ${why}`);

  /** Whether only the endpoints differ: they can then be changed by `reconfigure`. */
  sameBut({ endpoints: _, ...config }: PoolConfig): boolean {
    const { endpoints: __, ...own } = this.#config;
    return canonicalJson(own as Json) === canonicalJson(config as Json);
  }

  /** Takes other endpoints. Calls in flight at one that is gone end there. */
  reconfigure(endpoints: readonly EndpointConfig[]): void {
    if (!this.#parts.discovery) this.#set(endpoints);
  }

  #set(configs: readonly EndpointConfig[]): void {
    const wanted = new Map(configs.map((config) => [config.url, config]));
    for (const endpoint of [...this.#endpoints]) {
      const config = wanted.get(endpoint.url);
      if (config?.device === endpoint.device) {
        endpoint.configure(config);
        endpoint.server?.join(endpoint, config.concurrency, this.#changed);
      } else this.#remove(endpoint);
    }
    for (const config of configs) {
      if (!this.#endpoints.some(({ url }) => url === config.url)) this.#add(config);
    }
    if (this.#used) this.#warmUp.wanted(this.#endpoints);
    this.#queue.next();
  }

  #add(config: EndpointConfig): void {
    const { backendOf, canaryIntervalMs } = this.#parts;
    const server = this.#parts.serverOf?.(config);
    const endpoint = new Endpoint(config, backendOf(config), server);
    server?.join(endpoint, config.concurrency, this.#changed);
    const gone = new AbortController();
    this.#endpoints.push(endpoint);
    this.#gone.set(endpoint, gone);
    if (endpoint.backend.ready) endpoint.starting = true;
    this.#residency?.add(endpoint);
    this.#healer.countFromZero(endpoint);
    this.#metrics.ejections.inc({ model: this.#name, endpoint: endpoint.url }, 0);
    // Without support for repairs a canary would have only costs, at some servers in money. On demand it would load the model.
    if (endpoint.backend.heal === undefined || this.#residency) return;
    new Monitor(endpoint, {
      name: this.#name,
      healer: this.#healer,
      off: this.#config.heal === 'off',
      intervalMs: canaryIntervalMs,
      logger: this.#logger,
      closing: AbortSignal.any([this.#closing.signal, gone.signal]),
      changed: this.#changed,
    });
  }

  #remove(endpoint: Endpoint): void {
    this.#endpoints.splice(this.#endpoints.indexOf(endpoint), 1);
    this.#gone.get(endpoint)?.abort(new Error('the endpoint is gone'));
    this.#gone.delete(endpoint);
    // Nothing waits for it any more, and it is not probed.
    endpoint.reachable();
    endpoint.starting = false;
    this.#residency?.remove(endpoint);
    endpoint.server?.leave(endpoint);
    endpoint.retire(() => this.#parts.release?.(endpoint.backend));
    this.#logger.info({ model: this.#name, endpoint: endpoint.url, calls: endpoint.outstanding }, 'endpoint removed');
  }

  /**
   * One call: waits for a slot, then runs `work` with the chosen endpoint's backend; once, with `hedge` at most twice.
   * Throws what `work` throws, the signal's reason if it aborts during the wait, `BACKEND_UNAVAILABLE` at once if no
   * endpoint can be reached, `QUEUE_TIMEOUT` if the wait exceeds `queueMs`, and `RATE_LIMITED` if it has a slot but its
   * rate limit is used up: a call without a slot consumes no token. A model that is loaded on demand is loaded first.
   */
  async use<T>(work: Work<T>, options: UseOptions): Promise<T> {
    if (!this.#residency) return this.#use(work, options);
    const stay = await this.#residency.enter(options.signal, { calls: 1, devices: options.devices });
    try {
      return await this.#use(
        (backend, at, signal) => stay.at(at.url, signal, () => work(backend, at, signal)),
        options,
      );
    } finally {
      stay.leave();
    }
  }

  async #use<T>(work: Work<T>, options: UseOptions): Promise<T> {
    const { signal, tenant = 'default', hedge } = options;
    signal.throwIfAborted();
    this.#recovery.wanted(this.#endpoints);
    this.#warmUp.wanted(this.#endpoints);
    this.#used = true;
    const slot = await this.#queue.acquire(options);
    await this.#admit(slot, tenant);
    this.#hedgeBudget.called();
    const startedAt = performance.now();
    // With too few successful calls to know the percentile no call is late.
    const afterMs = hedge?.percentile === undefined ? hedge?.afterMs : this.#latencies.percentile(hedge.percentile);
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

  /** A call comes soon: a model that is loaded on demand is loaded meanwhile. */
  expect(): void {
    void this.#residency?.missing({ calls: 0 });
  }

  /**
   * Identifies what the pool computes: the model's name and its weights' fingerprint. A cached value outlives a server
   * that is down, so that a cache can answer in its place. Waits for the first search for endpoints, up to 10 s.
   */
  async identity(signal: AbortSignal): Promise<string> {
    if (this.#searched !== undefined) await untilAborted(signal, async () => this.#searched);
    return this.#identity.read(signal, this.#queue.empty).catch(async (error: unknown) => {
      signal.throwIfAborted();
      // Only a loaded model can be identified.
      throw (await this.#residency?.missing({ calls: 1 })) ?? error;
    });
  }

  /**
   * As `identity`, with the pool's name, since servers of two pools may report the same, and its options and modalities:
   * where they change, the model answers or refuses something else.
   */
  async answersAs(signal: AbortSignal): Promise<string> {
    const { options, modalities } = this.#config;
    const identity = `${this.#name}=${await this.identity(signal)}`;
    const settings = { ...(options && { options }), ...(modalities && { modalities }) };
    return Object.keys(settings).length === 0 ? identity : `${identity}+${jsonHash(settings).slice(0, 16)}`;
  }

  /**
   * Number of endpoints that do not answer a query that runs no model, or answer that they are not ready. The others get
   * their first call, if they have had none.
   */
  async reach(signal: AbortSignal): Promise<{ away: number; of: number }> {
    const { model } = this.#config;
    const answers = [...this.#endpoints].map((endpoint) => {
      const { backend } = endpoint;
      const states = this.#residency && backend.repository?.states;
      if (states) return limited(IDENTITY_TIMEOUT_MS, signal, states);
      if (backend.ready) return this.#warmUp.check(endpoint, IDENTITY_TIMEOUT_MS, signal);
      return limited(IDENTITY_TIMEOUT_MS, signal, (own) => backend.fingerprint(model, own));
    });
    const settled = await Promise.allSettled(answers);
    const away = settled.filter(({ status }) => status === 'rejected').length;
    // Without servers nothing answers.
    return settled.length === 0 && this.#queue.empty ? { away: 1, of: 1 } : { away, of: settled.length };
  }

  /** Its endpoints on a device, with the model's name there. */
  on(device: string): readonly { readonly endpoint: Endpoint; readonly model: string }[] {
    const { model } = this.#config;
    return this.#endpoints.filter((each) => each.device === device).map((endpoint) => ({ endpoint, model }));
  }

  /** Ends canaries, repairs and searches. Calls in flight continue. */
  close(): void {
    this.#closing.abort(new Error(`pool ${this.#name} is closed`));
  }

  /** Closes it for good, once its calls in flight have ended. Waiting calls fail unsent, and find its successor. */
  retire(): void {
    this.close();
    this.#queue.empty = this.#undiscovered('the pool’s configuration has changed');
    this.#set([]);
  }

  /** The second call of a hedge, if there is a free slot, no call waits for it and the budget allows it. */
  #second<T>(late: Endpoint, work: Work<T>, tenant: string): ((signal: AbortSignal) => Promise<T>) | undefined {
    const spare = this.#queue.spare(late, tenant);
    if (spare === undefined && !this.#queue.awaitsSlot) return undefined;
    if (!this.#hedgeBudget.take()) {
      if (spare) this.#queue.release(spare);
      return undefined;
    }
    return async (signal) => {
      const slot = spare ?? (await this.#queue.acquire({ signal, tenant, avoid: late.url, queueMs: GRANT_MS }));
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
    const { connector, model, kind } = this.#config;
    this.#gauge(endpoint);
    const startedAt = performance.now();
    let code = 'ok';
    try {
      const backend = this.#gathering?.at(endpoint) ?? endpoint.backend;
      const result = await work(backend, { model, kind, url, device, ...(isHedge && { hedge: true }) }, signal);
      endpoint.succeeded();
      return result;
    } catch (error) {
      code = codeOf(error, signal, isHedge);
      // A timed-out attempt counts against the endpoint; a cancelled one does not.
      if (signal.aborted) {
        if (signal.reason instanceof MillraceError) this.#failed(endpoint, signal.reason, startedAt);
        throw error;
      }
      this.#failed(endpoint, error, startedAt);
      throw failureAt(endpoint, this.#endpoints, error);
    } finally {
      this.#metrics.backendCalls.inc({ connector, model: this.#name, endpoint: url, code });
      this.#queue.release(slot);
      this.#gauge(endpoint);
    }
  }

  #failed(endpoint: Endpoint, error: unknown, startedAt: number): void {
    if (isLoading(error) || isOfAnother(error)) return;
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

/** As what a failed call is counted. To run out of time is a failure, to be cancelled is none; a server that hangs behind hedges is `hedged`. */
function codeOf(error: unknown, signal: AbortSignal, isHedge: boolean): string {
  const cause: unknown = signal.aborted ? signal.reason : error;
  if (cause instanceof MillraceError) return cause.code;
  if (!signal.aborted) return 'INTERNAL';
  return !isHedge && isBeaten(cause) ? 'hedged' : 'aborted';
}
