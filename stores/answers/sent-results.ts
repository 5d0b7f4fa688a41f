import type { Redis } from 'ioredis';
import { reachedFor } from '../redis/index.js';

/**
 * The runs whose result has been sent to a caller ahead of Temporal's record: to this caller they have ended. Methods throw
 * `STORE_UNAVAILABLE`.
 */
export interface SentResults {
  /** To be called before the result is sent. Throws `STATE_STORE_FULL`. */
  add(run: string, keptMs: number): Promise<void>;
  has(run: string): Promise<boolean>;
  /** A run that is started anew under the same idempotency key has the same id. */
  erase(run: string): Promise<void>;
}

/** The braces put all keys of a run into one slot of a Redis Cluster. */
const keyOf = (run: string): string => `millrace:sent:{${run}}`;

export class RedisSentResults implements SentResults {
  readonly #redis: Pick<Redis, 'set' | 'exists' | 'del'>;

  constructor(redis: Pick<Redis, 'set' | 'exists' | 'del'>) {
    this.#redis = redis;
  }

  async add(run: string, keptMs: number): Promise<void> {
    await reached(() => this.#redis.set(keyOf(run), '', 'PX', Math.ceil(keptMs)));
  }

  async has(run: string): Promise<boolean> {
    return (await reached(() => this.#redis.exists(keyOf(run)))) === 1;
  }

  async erase(run: string): Promise<void> {
    await reached(() => this.#redis.del(keyOf(run)));
  }
}

const reached = <T>(work: () => Promise<T>): Promise<T> => reachedFor('sent results', work);
