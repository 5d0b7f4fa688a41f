import type { Redis } from 'ioredis';
import { Gauge, type Registry } from 'prom-client';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidSetting } from '../../pipelines/invalid-setting.js';
import type { Logger } from '../../telemetry/logger.js';
import { mayEvict, readStoreState, type StoreState } from './store-state.js';

/** Interval of checks, in milliseconds; a check is one command of 0.1 ms. */
const EVERY_MS = 1_000;

/** Used share of a store's memory from which new runs are rejected; the rest is left to runs that have begun. */
const FULL_AT = 0.95;
/** Used share of a store's memory from which data that runs can do without is not stored. */
const ROOMY_BELOW = 0.8;

export interface StoreWatchOptions {
  readonly role: 'state' | 'index';
  readonly redis: Pick<Redis, 'info' | 'config'>;
  /** Name of the setting with the store's URL, for messages. */
  readonly setting: string;
  /** Assume `noeviction` if the server does not reveal its policy. */
  readonly acceptUnseen: boolean;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly everyMs?: number;
}

/**
 * Watches a store that must not lose data: rejects it at start-up if it may evict, and detects during operation that
 * its policy has changed or its memory is full.
 */
export class StoreWatch {
  readonly #options: StoreWatchOptions;
  readonly #used: Gauge<'store'>;
  readonly #limit: Gauge<'store'>;
  readonly #evicts: Gauge<'store'>;
  #state: StoreState = UNSEEN;
  #logged = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StoreWatchOptions) {
    this.#options = options;
    const registers = [options.registry];
    const gauge = (name: string, help: string) =>
      (options.registry.getSingleMetric(name) as Gauge<'store'> | undefined) ??
      new Gauge({ name, help, labelNames: ['store'] as const, registers });
    this.#used = gauge('millrace_store_used_bytes', 'Memory that a Redis store uses');
    this.#limit = gauge('millrace_store_limit_bytes', 'Memory that a Redis store may use; 0: no limit');
    this.#evicts = gauge('millrace_store_evicts', '1 if a Redis store that must not evict has an eviction policy');
  }

  /**
   * Checks the store at once, then every second until `stop`. If the store is unreachable the first check is left to
   * the next one. Throws `INVALID_SETTING` if the store may evict or does not reveal whether it may.
   */
  async start(): Promise<StoreState | undefined> {
    const first = await this.#check();
    if (first) refuse(this.#options, first);
    this.#timer = setInterval(() => void this.#check(), this.#options.everyMs ?? EVERY_MS);
    this.#timer.unref();
    return first;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether the store has no memory left for new runs. */
  get full(): boolean {
    return this.#share >= FULL_AT;
  }

  /** Whether there is room for optional data: records are dropped before runs are rejected. */
  get roomy(): boolean {
    return this.#share < ROOMY_BELOW;
  }

  get #share(): number {
    const { usedBytes = 0, limitBytes = 0 } = this.#state;
    return limitBytes > 0 ? usedBytes / limitBytes : 0;
  }

  /** Throws `STATE_STORE_FULL` if nothing new may begin. */
  requireRoom(): void {
    if (!this.full) return;
    throw new MillraceError('STATE_STORE_FULL', fullness(this.#state), { retryAfterMs: EVERY_MS });
  }

  /** Throws `INVALID_SETTING` if the store may evict, `STATE_STORE_FULL` if it is full. */
  requireSound(): void {
    if (evicts(this.#state, this.#options.acceptUnseen)) refuse(this.#options, this.#state);
    this.requireRoom();
  }

  async #check(): Promise<StoreState | undefined> {
    const { redis, role, acceptUnseen, logger } = this.#options;
    let state: StoreState;
    try {
      state = await readStoreState(redis);
    } catch (error) {
      logger.debug({ store: role, error: messageOf(error) }, 'cannot check the store');
      return undefined;
    }
    this.#state = state;
    const bad = evicts(state, acceptUnseen);
    this.#used.set({ store: role }, state.usedBytes ?? 0);
    this.#limit.set({ store: role }, state.limitBytes ?? 0);
    this.#evicts.set({ store: role }, bad ? 1 : 0);
    const about = { store: role, policy: state.policy };
    this.#logOnce('evicts', bad, () =>
      logger.error(about, `the ${role} store may evict data that runs need: ${remedy}`),
    );
    this.#logOnce('full', this.full, () =>
      logger.error({ ...about, detail: fullness(state) }, `the ${role} store is full`),
    );
    this.#logOnce('no file', state.appendOnly === false, () =>
      logger.warn(about, `the ${role} store has no append-only file: a restart of Redis loses its data`),
    );
    return state;
  }

  /** Logs once when a condition begins to hold, and again each time it begins anew. */
  #logOnce(what: string, holds: boolean, log: () => void): void {
    if (holds && !this.#logged.has(what)) log();
    if (holds) this.#logged.add(what);
    else this.#logged.delete(what);
  }
}

const UNSEEN: StoreState = {};
const remedy = 'set its maxmemory-policy to noeviction';

/** A store that has not been checked yet counts as sound: it is unreachable, which is reported elsewhere. */
const evicts = (state: StoreState, acceptUnseen: boolean): boolean =>
  state !== UNSEEN && (mayEvict(state) ?? !acceptUnseen);

function fullness({ usedBytes = 0, limitBytes = 0 }: StoreState): string {
  const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
  return `it uses ${mebibytes(usedBytes)} of ${mebibytes(limitBytes)} MiB`;
}

function refuse({ role, setting, acceptUnseen }: StoreWatchOptions, state: StoreState): void {
  if (!evicts(state, acceptUnseen)) return;
  const message =
    state.policy === undefined
      ? `the Redis of the ${role} store reveals its maxmemory-policy neither in INFO nor by CONFIG GET. ` +
        'Make sure that it is noeviction, then set MILLRACE_STORE_POLICY_UNSEEN=accept'
      : `the Redis of the ${role} store has the maxmemory-policy ${state.policy}, which may evict data that runs need: ` +
        `${remedy}, and give caches a Redis of their own (REDIS_CACHE_URL)`;
  throw invalidSetting(setting, message);
}
