import { createHash, randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { reachedFor } from '../redis/index.js';

/** Below it the gateway takes calls, by their token. */
export const CALLBACK_PATH = '/v1/callbacks';

/**
 * Calls of servers that have ended a job: who knows a token may say that its job is worth a question, and nothing else. All methods throw
 * `STORE_UNAVAILABLE`.
 */
export interface Callbacks {
  /** A token for one job, known for so long, in milliseconds. Throws `STATE_STORE_FULL`. */
  open(keptMs: number): Promise<string>;
  /** A server has called. False for a token that nobody waits for. */
  arrive(token: string): Promise<boolean>;
  /** Whether a server has called since this was true the last time. */
  arrived(token: string): Promise<boolean>;
  close(token: string): Promise<void>;
}

const PREFIX = 'millrace:callback:';
const TOKEN_BYTES = 32;
const TOKEN = /^[\w-]{43}$/;
const CALLED = '1';
const WAITING = '';

export class RedisCallbacks implements Callbacks {
  readonly #redis: Pick<Redis, 'set' | 'get' | 'del'>;

  constructor(redis: Pick<Redis, 'set' | 'get' | 'del'>) {
    this.#redis = redis;
  }

  async open(keptMs: number): Promise<string> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    await reached(() => this.#redis.set(keyOf(token), WAITING, 'PX', keptMs));
    return token;
  }

  async arrive(token: string): Promise<boolean> {
    if (!TOKEN.test(token)) return false;
    return (await reached(() => this.#redis.set(keyOf(token), CALLED, 'KEEPTTL', 'XX'))) === 'OK';
  }

  async arrived(token: string): Promise<boolean> {
    if ((await reached(() => this.#redis.get(keyOf(token)))) !== CALLED) return false;
    // A call that comes in between is answered by the same question, which is asked afterwards.
    await reached(() => this.#redis.set(keyOf(token), WAITING, 'KEEPTTL', 'XX'));
    return true;
  }

  async close(token: string): Promise<void> {
    await reached(() => this.#redis.del(keyOf(token)));
  }
}

/** The store does not hold tokens: who reads it can make no call. */
const keyOf = (token: string): string => PREFIX + createHash('sha256').update(token).digest('base64url');

const reached = <T>(work: () => Promise<T>): Promise<T> => reachedFor('callbacks', work);
