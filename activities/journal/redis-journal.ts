import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';

/**
 * The record of one segment in Redis: a hash with a field for each call that has ended and a counter for each that has
 * begun. A write is acknowledged before the next step starts, so a worker that takes over knows all that has ended.
 *
 * What it survives is the death of the worker. A Redis that loses its memory loses the record, and a worker that takes
 * over then runs the segment from its start.
 */
export class SegmentJournal {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #ttlMs: number;
  readonly #ended: Map<string, Json>;
  #lost = false;

  private constructor(redis: Redis, key: string, ttlMs: number, ended: Map<string, Json>) {
    this.#redis = redis;
    this.#key = key;
    this.#ttlMs = ttlMs;
    this.#ended = ended;
  }

  /**
   * Reads what an earlier worker has recorded. Rejects with `JOURNAL_UNAVAILABLE`.
   * @param ttlMs how long the record is kept after the last write, in milliseconds
   */
  static async open(redis: Redis, run: string, path: string, ttlMs: number): Promise<SegmentJournal> {
    const key = `millrace:journal:${run}:${path}`;
    const fields = await reached(() => redis.hgetall(key));
    const ended = new Map<string, Json>();
    for (const [field, value] of Object.entries(fields))
      if (!field.startsWith(BEGUN)) ended.set(field, JSON.parse(value));
    return new SegmentJournal(redis, key, ttlMs, ended);
  }

  ended(call: string): Json | undefined {
    return this.#ended.get(call);
  }

  /** Counts an attempt that begins; its number, from 1, over all workers. Rejects with `JOURNAL_UNAVAILABLE`. */
  async begin(call: string): Promise<number> {
    if (this.#lost) throw new MillraceError('JOURNAL_UNAVAILABLE', 'the journal has a gap');
    const count = await reached(async () => {
      const replies = await this.#redis
        .pipeline()
        .hincrby(this.#key, `${BEGUN}${call}`, 1)
        .pexpire(this.#key, this.#ttlMs)
        .exec();
      const [error, value] = replies?.[0] ?? [new Error('no answer')];
      if (error) throw error;
      return value;
    });
    return Number(count);
  }

  /** Records how a call has ended. Where it cannot be written the result still counts, and no call begins after it. */
  async end(call: string, ended: Json): Promise<void> {
    this.#ended.set(call, ended);
    try {
      await this.#redis.hset(this.#key, call, JSON.stringify(ended));
    } catch {
      this.#lost = true;
    }
  }
}

/** Before the name of a call, its count of attempts. */
const BEGUN = '#';

async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new MillraceError(
      'JOURNAL_UNAVAILABLE',
      `the journal cannot be reached: ${messageOf(error)}`,
      {},
      { cause: error },
    );
  }
}
