import type { Redis } from 'ioredis';
import { Gauge, type Registry } from 'prom-client';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import { lookAt, mayEvict, type StoreLook } from './store-look.js';

/** Time between two looks, in milliseconds: a look is one command of 0.1 ms. */
const EVERY_MS = 1_000;

/** Share of a store's memory that is left to runs that have begun: new ones are refused from here on. */
const FULL_AT = 0.95;
/** Above this share of its memory nothing is kept that runs can do without. */
const ROOMY_BELOW = 0.8;

export interface StoreWatchOptions {
  readonly role: 'state' | 'index';
  readonly redis: Pick<Redis, 'info' | 'config'>;
  /** What an operator sets to name the store, for messages. */
  readonly setting: string;
  /** A policy that the server does not show is taken to be `noeviction`. */
  readonly acceptUnseen: boolean;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly everyMs?: number;
}

/**
 * Keeps an eye on a store that must keep what it is given: refuses it at the start where it may evict, and notices while it
 * is used that somebody has changed its policy or that its memory is full.
 */
export class StoreWatch {
  readonly #options: StoreWatchOptions;
  readonly #used: Gauge<'store'>;
  readonly #limit: Gauge<'store'>;
  readonly #evicts: Gauge<'store'>;
  #look: StoreLook = UNSEEN;
  #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StoreWatchOptions) {
    this.#options = options;
    const registers = [options.registry];
    const gauge = (name: string, help: string) =>
      (options.registry.getSingleMetric(name) as Gauge<'store'> | undefined) ??
      new Gauge({ name, help, labelNames: ['store'] as const, registers });
    this.#used = gauge('millrace_store_used_bytes', 'Memory that a Redis store uses');
    this.#limit = gauge('millrace_store_limit_bytes', 'Memory that a Redis store may use; 0: no limit');
    this.#evicts = gauge(
      'millrace_store_evicts',
      '1 where a Redis store that must keep everything has a policy that evicts',
    );
  }

  /**
   * The first look, then one every second until `stop`. Where the store cannot be reached the first look is left to the
   * next one. Throws `INVALID_SETTING` for a store that may evict, or that does not show whether it may.
   */
  async start(): Promise<StoreLook | undefined> {
    const first = await this.#lookAgain();
    if (first) refuse(this.#options, first);
    this.#timer = setInterval(() => void this.#lookAgain(), this.#options.everyMs ?? EVERY_MS);
    this.#timer.unref();
    return first;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether the store has no memory left but for what has begun. */
  get full(): boolean {
    return this.#share >= FULL_AT;
  }

  /** Whether there is room for what only helps: records give way before runs do. */
  get roomy(): boolean {
    return this.#share < ROOMY_BELOW;
  }

  get #share(): number {
    const { usedBytes = 0, limitBytes = 0 } = this.#look;
    return limitBytes > 0 ? usedBytes / limitBytes : 0;
  }

  /** Throws `STATE_STORE_FULL` where nothing new may begin. */
  requireRoom(): void {
    if (!this.full) return;
    throw new MillraceError('STATE_STORE_FULL', fullness(this.#look), { retryAfterMs: EVERY_MS });
  }

  /** Throws `INVALID_SETTING` where the store may evict by now, `STATE_STORE_FULL` where it is full. */
  requireSound(): void {
    if (evicts(this.#look, this.#options.acceptUnseen)) refuse(this.#options, this.#look);
    this.requireRoom();
  }

  async #lookAgain(): Promise<StoreLook | undefined> {
    const { redis, role, acceptUnseen, logger } = this.#options;
    let look: StoreLook;
    try {
      look = await lookAt(redis);
    } catch (error) {
      logger.debug({ store: role, error: messageOf(error) }, 'the store cannot be looked at');
      return undefined;
    }
    this.#look = look;
    const bad = evicts(look, acceptUnseen);
    this.#used.set({ store: role }, look.usedBytes ?? 0);
    this.#limit.set({ store: role }, look.limitBytes ?? 0);
    this.#evicts.set({ store: role }, bad ? 1 : 0);
    const about = { store: role, policy: look.policy };
    this.#tell('evicts', bad, () => logger.error(about, `the ${role} store may evict what runs need: ${remedy}`));
    this.#tell('full', this.full, () =>
      logger.error({ ...about, detail: fullness(look) }, `the ${role} store is full`),
    );
    this.#tell('no file', look.appendOnly === false, () =>
      logger.warn(about, `the ${role} store has no append-only file: a restart of Redis loses what it holds`),
    );
    return look;
  }

  /** Once when it begins to hold; again when it has ended and begins anew. */
  #tell(what: string, holds: boolean, tell: () => void): void {
    if (holds && !this.#told.has(what)) tell();
    if (holds) this.#told.add(what);
    else this.#told.delete(what);
  }
}

const UNSEEN: StoreLook = {};
const remedy = 'set its maxmemory-policy to noeviction';

/** A store that has not been looked at yet counts as sound: it is away, which is told elsewhere. */
const evicts = (look: StoreLook, acceptUnseen: boolean): boolean =>
  look !== UNSEEN && (mayEvict(look) ?? !acceptUnseen);

function fullness({ usedBytes = 0, limitBytes = 0 }: StoreLook): string {
  const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
  return `it uses ${mebibytes(usedBytes)} of ${mebibytes(limitBytes)} MiB`;
}

function refuse({ role, setting, acceptUnseen }: StoreWatchOptions, look: StoreLook): void {
  if (!evicts(look, acceptUnseen)) return;
  const message =
    look.policy === undefined
      ? `the Redis of the ${role} store shows its maxmemory-policy neither by INFO nor by CONFIG GET. ` +
        'Make sure that it is noeviction, then set MILLRACE_STORE_POLICY_UNSEEN=accept'
      : `the Redis of the ${role} store has the maxmemory-policy ${look.policy}, which may evict what runs need to go on: ` +
        `${remedy}, and give caches a Redis of their own (REDIS_CACHE_URL)`;
  throw new MillraceError('INVALID_SETTING', `${setting}: ${message}`, { fields: [{ field: setting, message }] });
}
