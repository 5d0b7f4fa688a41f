import type { Redis } from 'ioredis';
import type { Logger } from '../../../telemetry/logger.js';
import type { Metrics } from '../../../telemetry/metrics.js';
import type { LoadState } from '../../connectors/connector.js';
import { serverAddress } from '../server-address.js';
import { answered } from './carry-out.js';
import { Loader, readyOf } from './loader.js';
import { type ManagedModel, ManagedModels } from './managed-models.js';
import type { Worth } from './policy.js';
import { type Entrance, SharedModels, type Use } from './shared-models.js';
import { StoreAccess } from './store-access.js';
import { Upkeep } from './upkeep.js';

/** Interval of renewals, while models are in use. */
const RENEW_MS = 1_000;
/** How long a refusal, or what the server has said of its models, is reused, in milliseconds. */
const BELIEVED_MS = 250;

export interface ServerModelsParts {
  readonly connector: string;
  readonly endpoint: string;
  readonly worker: string;
  /** Where workers agree. Absent, or while it does not answer: models are loaded while there is room, and none is unloaded. */
  readonly redis?: Redis | undefined;
  readonly metrics: Pick<Metrics, 'modelLoads' | 'modelLoadSeconds' | 'modelUnloads'>;
  readonly logger: Logger;
  readonly closing: AbortSignal;
  /** Which models are evicted first. Default: `greedyDual`. */
  readonly worth?: Worth | undefined;
}

/** Answer to a call: the model is loaded and stays so until `leave`, or it is not. */
export type Admission = { readonly ready: true; leave(): void } | (Entrance & { readonly ready: false });

/** A model as this worker uses it. */
interface Own {
  /** Calls that are under way or wait. */
  calls: number;
  /** Those that the store does not know of yet. */
  uncounted: number;
  /** The store has a lease of this worker. */
  leased: boolean;
  /** It was loaded when the store was last asked. */
  loaded: boolean;
  asking: Promise<Entrance> | undefined;
  /** The lease is being given up. */
  leaving: Promise<unknown> | undefined;
  refused: { readonly answer: Entrance; readonly until: number } | undefined;
}

/**
 * The models of one server that workers load on demand. A worker that has calls of a model, under way or waiting, has a lease of it in the
 * state store: no worker unloads it.
 */
export class ServerModels {
  readonly #parts: ServerModelsParts;
  readonly #models = new ManagedModels();
  readonly #own = new Map<string, Own>();
  readonly #store: StoreAccess;
  readonly #loader: Loader;
  readonly #upkeep: Upkeep;
  #renewal: NodeJS.Timeout | undefined;
  #seen: { readonly states: ReadonlyMap<string, LoadState>; readonly until: number } | undefined;

  constructor(parts: ServerModelsParts) {
    this.#parts = parts;
    const { redis, connector, endpoint, worker, logger, closing } = parts;
    const shared = redis && new SharedModels(redis, `${connector} ${serverAddress(endpoint)}`, worker);
    this.#store = new StoreAccess(shared, endpoint, logger);
    this.#loader = new Loader({ ...parts, models: this.#models, store: this.#store });
    this.#upkeep = new Upkeep({
      states: () => this.#states(),
      load: (model) => this.load(model, true).catch(() => undefined),
      closing,
    });
  }

  /** A pool has this model here. Returns a function that ends it. */
  join(model: ManagedModel): () => void {
    this.#models.add(model);
    this.#upkeep.add(model);
    return () => {
      this.#models.remove(model);
      this.#upkeep.remove(model);
    };
  }

  /**
   * A call comes: it keeps the model loaded until it leaves. Rejects with the server's error if store and server are away.
   * @param calls 0 if it is not called, only looked for
   */
  async enter(model: string, calls: 0 | 1 = 1): Promise<Admission> {
    const own = this.#ownOf(model);
    // The store counts a call that asks it.
    const asks = !own.loaded && own.asking === undefined;
    own.calls += 1;
    let answer: Entrance;
    try {
      answer = own.loaded ? LOADED : await this.#ask(model, own, calls);
    } catch (error) {
      this.#left(model, own);
      throw error;
    }
    if (!answer.ready) {
      this.#left(model, own);
      return answer;
    }
    if (!asks) own.uncounted += calls;
    let inside = true;
    return {
      ready: true,
      leave: () => {
        if (inside) this.#left(model, own);
        inside = false;
      },
    };
  }

  /** As `Loader.load`. */
  async load(model: string, hint = false): Promise<void> {
    try {
      await this.#loader.load(model, hint);
    } finally {
      this.#ownOf(model).refused = undefined;
      this.#seen = undefined;
    }
  }

  /** The server has answered that it does not have a model. Returns what it says of it now; rejects if it does not answer. */
  async missed(model: string): Promise<LoadState | 'absent'> {
    const observed = await this.#store.ask((shared) => shared.observe(model, this.#models.bytesOf(model)));
    const states = await this.#states();
    const state = states.get(model) ?? 'absent';
    if (state === 'ready') return state;
    this.#ownOf(model).loaded = false;
    if (observed) await this.#store.ask((shared) => shared.settle(observed.gen, readyOf(states)));
    return state;
  }

  /** The models that take memory, as the server says. */
  states(signal: AbortSignal): Promise<ReadonlyMap<string, LoadState>> {
    return this.#models.states(signal);
  }

  /** Gives up all leases. */
  close(): void {
    clearInterval(this.#renewal);
    const uses = [...this.#own].filter(([, { leased }]) => leased).map(([model]): Use => [model, 0, false]);
    if (uses.length > 0) void this.#store.ask((shared) => shared.report(uses));
  }

  #ownOf(model: string): Own {
    const known = this.#own.get(model);
    if (known) return known;
    const own: Own = {
      ...{ calls: 0, uncounted: 0, leased: false, loaded: false },
      ...{ asking: undefined, leaving: undefined, refused: undefined },
    };
    this.#own.set(model, own);
    return own;
  }

  /** One request at a time for a model. */
  #ask(model: string, own: Own, calls: number): Promise<Entrance> {
    const { refused } = own;
    if (refused && refused.until > performance.now()) return Promise.resolve(refused.answer);
    own.asking ??= this.#answer(model, own, calls).finally(() => {
      own.asking = undefined;
    });
    return own.asking;
  }

  async #answer(model: string, own: Own, calls: number): Promise<Entrance> {
    await own.leaving;
    const shared = await this.#store.ask((store) => store.enter(model, this.#models.bytesOf(model), calls));
    const answer = shared ?? (await this.#answerAlone(model));
    own.leased ||= shared?.ready === true;
    own.loaded = answer.ready;
    own.refused = answer.ready ? undefined : { answer, until: performance.now() + BELIEVED_MS };
    if (answer.ready) this.#renew();
    return answer;
  }

  /** Without the store the server is asked. */
  async #answerAlone(model: string): Promise<Entrance> {
    const states = await this.#recentStates();
    const state = states.get(model);
    if (state === 'ready') return LOADED;
    return { ready: false, used: this.#models.used(states), ...(state === 'loading' && { changing: 'load' as const }) };
  }

  #left(model: string, own: Own): void {
    own.calls -= 1;
    if (own.calls > 0) return;
    own.loaded = false;
    if (!own.leased) return;
    own.leased = false;
    const calls = own.uncounted;
    own.uncounted = 0;
    own.leaving = this.#store.ask((shared) => shared.report([[model, calls, false]]));
  }

  #renew(): void {
    this.#renewal ??= setInterval(() => {
      const used = [...this.#own].filter(([, { calls, loaded }]) => calls > 0 && loaded);
      if (used.length === 0) {
        clearInterval(this.#renewal);
        this.#renewal = undefined;
        return;
      }
      const uses = used.map(([model, own]): Use => {
        const calls = own.uncounted;
        own.uncounted = 0;
        // Also one that was admitted while the store was away.
        own.leased = true;
        return [model, calls, true];
      });
      void this.#store.ask((shared) => shared.report(uses));
    }, RENEW_MS).unref();
  }

  /** What the server says, at most a moment ago. */
  async #recentStates(): Promise<ReadonlyMap<string, LoadState>> {
    if (this.#seen && this.#seen.until > performance.now()) return this.#seen.states;
    const states = await this.#states();
    this.#seen = { states, until: performance.now() + BELIEVED_MS };
    return states;
  }

  #states(): Promise<ReadonlyMap<string, LoadState>> {
    return answered(this.#parts.closing, (signal) => this.#models.states(signal));
  }
}

const LOADED: Entrance = { ready: true };
