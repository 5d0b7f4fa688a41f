import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';

/**
 * The record of one segment in Redis: a hash with a field for each call that has ended, a counter for each that has begun,
 * and its owner, who opened it last. A write is acknowledged before the next step starts, so a worker that takes over knows
 * all that has ended; and from then on the one before it writes nothing and begins nothing: a worker that only lost sight of
 * Temporal, or stood still, would repeat what the new one has done.
 *
 * What it survives is the death of the worker. A Redis that loses its memory loses the record, and a worker that takes
 * over then runs the segment from its start.
 */
export class SegmentJournal {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #owner: string;
  readonly #ttlMs: number;
  readonly #ended = new Map<string, Json>();
  readonly #begun = new Map<string, number>();
  /** The last write that is under way. Redis answers in order: those before it have ended with it. */
  #writing: Promise<void> = Promise.resolve();
  #lost = false;

  private constructor(redis: Redis, key: string, owner: string, ttlMs: number) {
    this.#redis = redis;
    this.#key = key;
    this.#owner = owner;
    this.#ttlMs = ttlMs;
  }

  /**
   * Takes the record over and reads what an earlier worker has left in it. Rejects with `JOURNAL_UNAVAILABLE`.
   * @param ttlMs how long the record is kept after the last attempt has begun, in milliseconds
   */
  static async open(redis: Redis, run: string, path: string, ttlMs: number): Promise<SegmentJournal> {
    const key = `millrace:journal:${run}:${path}`;
    const owner = randomUUID();
    const fields = (await reached(() => redis.eval(TAKE, 1, key, owner, ttlMs))) as string[];
    const journal = new SegmentJournal(redis, key, owner, ttlMs);
    for (let i = 0; i < fields.length; i += 2) {
      const [field, value] = fields.slice(i, i + 2) as [string, string];
      if (field.startsWith(BEGUN)) journal.#begun.set(field.slice(BEGUN.length), Number(value));
      else if (field !== OWNER) journal.#ended.set(field, JSON.parse(value));
    }
    return journal;
  }

  ended(call: string): Json | undefined {
    return this.#ended.get(call);
  }

  /** How many attempts of a call have begun, over all workers, as far as this one knows. */
  begun(call: string): number {
    return this.#begun.get(call) ?? 0;
  }

  /**
   * Counts an attempt that begins; its number, from 1, over all workers. Rejects with `JOURNAL_UNAVAILABLE`, and from then on
   * always: the segment ends, and nothing of it may begin while it does.
   */
  async begin(call: string): Promise<number> {
    if (this.#lost) throw new MillraceError('JOURNAL_UNAVAILABLE', 'the journal has a gap');
    const field = `${BEGUN}${call}`;
    try {
      const count = await reached(() => this.#redis.eval(COUNT, 1, this.#key, this.#owner, field, this.#ttlMs));
      if (count === null) throw new MillraceError('JOURNAL_UNAVAILABLE', 'another worker has taken the journal over');
      this.#begun.set(call, Number(count));
      // The end before this beginning has had its answer.
      if (this.#lost) throw new MillraceError('JOURNAL_UNAVAILABLE', 'the journal has a gap');
      return Number(count);
    } catch (error) {
      this.#lost = true;
      throw error;
    }
  }

  /**
   * Records how a call has ended. Where it cannot be written the result still counts, and no call begins after it. Nobody has
   * to wait for it: a call that begins later does, for Redis answers in order, and `settled` does.
   */
  end(call: string, ended: Json): Promise<void> {
    this.#ended.set(call, ended);
    this.#writing = this.#keep(call, ended);
    return this.#writing;
  }

  async #keep(call: string, ended: Json): Promise<void> {
    try {
      const kept = await this.#redis.eval(KEEP, 1, this.#key, this.#owner, call, JSON.stringify(ended));
      if (kept === null) this.#lost = true;
    } catch {
      this.#lost = true;
    }
  }

  /** Resolves when every write has had its answer; whether the record has all that has ended. */
  async settled(): Promise<boolean> {
    await this.#writing;
    return !this.#lost;
  }

  /**
   * The segment has ended: the record is kept for `ms` milliseconds more, unless another worker has taken it over. Where this
   * cannot be written it goes when it would have gone anyway.
   */
  async keepFor(ms: number): Promise<void> {
    await this.#redis.eval(KEEP_FOR, 1, this.#key, this.#owner, ms).catch(() => undefined);
  }
}

/** The field that names who may write. No call has this name: they begin with a stage's id. */
const OWNER = '@owner';
/** Before the name of a call, its count of attempts. */
const BEGUN = '#';

/** Each is one step for Redis: nobody takes the record over between the look at its owner and the write. */
const TAKE = `redis.call('hset', KEYS[1], '${OWNER}', ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])
return redis.call('hgetall', KEYS[1])`;
const UNLESS_TAKEN = `if redis.call('hget', KEYS[1], '${OWNER}') ~= ARGV[1] then return false end`;
const COUNT = `${UNLESS_TAKEN}
redis.call('pexpire', KEYS[1], ARGV[3])
return redis.call('hincrby', KEYS[1], ARGV[2], 1)`;
const KEEP = `${UNLESS_TAKEN}
redis.call('hset', KEYS[1], ARGV[2], ARGV[3])
return 1`;
const KEEP_FOR = `${UNLESS_TAKEN}
redis.call('pexpire', KEYS[1], ARGV[2])
return 1`;

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
