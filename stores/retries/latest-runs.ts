import type { Redis } from 'ioredis';

/** The runs of the latest of equal requests, by the id of the run of the first of them, which is derived from the request. */
export interface LatestRuns {
  /** Records a run, unless there is one: false then. Rejects while the store is unreachable or full. */
  claim(request: string, run: string, keptMs: number): Promise<boolean>;
  /** Records a run in place of the one before. */
  replace(request: string, run: string, keptMs: number): Promise<void>;
  /** The run of the latest request; undefined if none is known. Rejects while the store is unreachable. */
  latest(request: string): Promise<string | undefined>;
}

/** The request is named by the id of the first run that it has started: the key is in the slot of that run. */
const keyOf = (request: string): string => `millrace:latest:{${request}}`;

export class RedisLatestRuns implements LatestRuns {
  readonly #redis: Pick<Redis, 'set' | 'get'>;

  constructor(redis: Pick<Redis, 'set' | 'get'>) {
    this.#redis = redis;
  }

  async claim(request: string, run: string, keptMs: number): Promise<boolean> {
    return (await this.#redis.set(keyOf(request), run, 'PX', keptMs, 'NX')) === 'OK';
  }

  async replace(request: string, run: string, keptMs: number): Promise<void> {
    await this.#redis.set(keyOf(request), run, 'PX', keptMs);
  }

  async latest(request: string): Promise<string | undefined> {
    return (await this.#redis.get(keyOf(request))) ?? undefined;
  }
}
