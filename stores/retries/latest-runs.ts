import type { Redis } from 'ioredis';

/** The runs of the latest of equal requests, by a digest of the request. */
export interface LatestRuns {
  /** Records a run, unless there is one: false then. Rejects while the store is unreachable or full. */
  claim(request: string, run: string, keptMs: number): Promise<boolean>;
  /** Records a run in place of the one before. */
  replace(request: string, run: string, keptMs: number): Promise<void>;
  /** The run of the latest request; undefined if none is known. Rejects while the store is unreachable. */
  latest(request: string): Promise<string | undefined>;
}

const PREFIX = 'millrace:latest:';

export class RedisLatestRuns implements LatestRuns {
  readonly #redis: Pick<Redis, 'set' | 'get'>;

  constructor(redis: Pick<Redis, 'set' | 'get'>) {
    this.#redis = redis;
  }

  async claim(request: string, run: string, keptMs: number): Promise<boolean> {
    return (await this.#redis.set(`${PREFIX}${request}`, run, 'PX', keptMs, 'NX')) === 'OK';
  }

  async replace(request: string, run: string, keptMs: number): Promise<void> {
    await this.#redis.set(`${PREFIX}${request}`, run, 'PX', keptMs);
  }

  async latest(request: string): Promise<string | undefined> {
    return (await this.#redis.get(`${PREFIX}${request}`)) ?? undefined;
  }
}
