import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { limited } from '../../runtime/limited.js';
import { script } from './script.js';

/** Interval of checks, in milliseconds: processes that live write again what the store has lost within it. */
const EVERY_MS = 250;
/** Expiry of the counter of a process that has ended, in milliseconds; one that is suspended for longer finds a loss that was none. */
const KEPT_MS = 600_000;
/** How long a check may hold up what asks for it, in milliseconds: a store that is away is not asked for longer. */
const ANSWER_MS = 500;
/** How long after a loss something that is missing may still be written again by its process, in milliseconds. */
const DOUBT_MS = 10_000;
/** Says for as long that a process has found a loss: one that has started since has nothing that it could miss. */
const FOUND = 'millrace:watch:found';

const NEVER = new AbortController().signal;

/** Sets the counter, and returns what it was: in one step, since data that is lost between a question and a write would not be missed. */
const raise = script<[counter: string], [value: string, keptMs: number], string | null>(`
local before = redis.call('get', KEYS[1])
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return before`);

/**
 * Detects that a store has lost writes that it had acknowledged: it was flushed, restarted without its data, or failed over to a replica
 * that lacked the latest ones. This process raises a counter in the store; if it is missing or older than acknowledged, data is lost. A new
 * connection counts as a loss, since a replica may have taken over that lacked less than one interval. The counter is one key, so a
 * loss of another node of a Redis Cluster shows by the new connection only.
 */
export class LossWatch {
  readonly #redis: Redis;
  readonly #key = `millrace:watch:${randomUUID()}`;
  readonly #listeners = new Set<() => void>();
  /** The counter as the store has acknowledged it; undefined: nothing is known. */
  #acknowledged: string | undefined;
  /** The last value that was sent: without its acknowledgement it may be there or not, and is sent again. */
  #sent = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  #beating = false;
  #connected: boolean;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#connected = redis.status === 'ready';
  }

  /** Checks the store until its client is disconnected. */
  start(): this {
    const timer = setInterval(() => void this.#beat(), EVERY_MS);
    timer.unref();
    const ready = () => this.#ready();
    this.#redis.on('ready', ready);
    this.#redis.once('end', () => {
      clearInterval(timer);
      this.#redis.off('ready', ready);
    });
    void this.#beat();
    return this;
  }

  /** Calls `lost` after each loss until the returned function is called. */
  onLoss(lost: () => void): () => void {
    this.#listeners.add(lost);
    return () => void this.#listeners.delete(lost);
  }

  /**
   * Whether something that the store does not have may have been lost lately; listeners have been called before. True if a store that is
   * connected does not say so in time, false if it is away.
   */
  async mayLack(): Promise<boolean> {
    const look = async () => {
      const [found] = await Promise.all([this.#redis.get(FOUND), this.#look()]);
      return found !== null;
    };
    const mayLack = await limited(ANSWER_MS, NEVER, look).catch(() => this.#redis.status === 'ready');
    return mayLack || performance.now() - this.#lostAt < DOUBT_MS;
  }

  #ready(): void {
    // What the counter has become is compared by the next check.
    if (this.#connected) this.#lost();
    this.#connected = true;
  }

  async #beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    try {
      await this.#look();
      if (this.#acknowledged === String(this.#sent)) this.#sent += 1;
      const next = String(this.#sent);
      const found = await raise(this.#redis, [this.#key], next, KEPT_MS);
      this.#compare(found);
      this.#acknowledged = next;
    } catch {
      // The store is away or full: the next check compares with both values.
    } finally {
      this.#beating = false;
    }
  }

  async #look(): Promise<void> {
    const before = this.#acknowledged;
    if (before === undefined) return;
    const value = await this.#redis.get(this.#key);
    if (value !== before) this.#compare(value);
  }

  /** A loss that has been told already has left no value to compare with. */
  #compare(found: string | null): void {
    const known = this.#acknowledged;
    if (known === undefined || found === known || found === String(this.#sent)) return;
    this.#redis.set(FOUND, '1', 'PX', DOUBT_MS).catch(() => undefined);
    this.#acknowledged = undefined;
    this.#lost();
  }

  #lost(): void {
    this.#lostAt = performance.now();
    for (const listener of this.#listeners) listener();
  }
}
