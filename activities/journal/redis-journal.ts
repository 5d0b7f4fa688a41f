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
    const key = journalKey(run, path);
    const owner = randomUUID();
    const taken = await reached(() => redis.eval(TAKE, 1, key, owner, ttlMs));
    if (!Array.isArray(taken)) throw new HeldError(Number(taken));
    const journal = new SegmentJournal(redis, key, owner, ttlMs);
    const fields = taken as string[];
    for (let i = 0; i < fields.length; i += 2) {
      const [field, value] = fields.slice(i, i + 2) as [string, string];
      if (field.startsWith(BEGUN)) journal.#begun.set(field.slice(BEGUN.length), Number(value));
      else if (!field.startsWith('@')) journal.#ended.set(field, JSON.parse(value));
    }
    return journal;
  }

  /**
   * Begins a record that nobody has begun, under a lease: until it has run out, nobody takes the record over. Where it cannot
   * be begun, no call begins under it; nobody waits for this.
   */
  static begin(redis: Redis, run: string, path: string, ttlMs: number, leaseMs: number): SegmentJournal {
    const journal = new SegmentJournal(redis, journalKey(run, path), randomUUID(), ttlMs);
    const beginning = redis.eval(BEGIN, 1, journal.#key, journal.#owner, ttlMs, leaseMs);
    beginning.catch(() => undefined);
    return journal;
  }

  /** Whether the lease holds for `leaseMs` more; false when the record is another's or gone. Rejects with `JOURNAL_UNAVAILABLE`. */
  async renew(leaseMs: number): Promise<boolean> {
    return (await reached(() => this.#redis.eval(RENEW, 1, this.#key, this.#owner, leaseMs))) !== null;
  }

  /**
   * Ends the lease, if the record is still this one's; then it tells `message` on `channel`, which is after all that this
   * journal has written. Where it cannot be written the lease runs out.
   */
  async release(told?: { readonly channel: string; readonly message: string }): Promise<void> {
    const { channel = '', message = '' } = told ?? {};
    await this.#redis.eval(RELEASE, 1, this.#key, this.#owner, channel, message).catch(() => undefined);
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

/** A guarded run has its outcome in Temporal: its record need not be kept for long. */
export async function releaseRecord(redis: Redis, run: string, guarded: string): Promise<void> {
  await redis.pexpire(journalKey(`${run}:${guarded}`, WHOLE_RUN), KEPT_ENDED_MS);
}

/** Takes the record from the fast host that has it: nothing more begins, and what runs is ended. */
export async function revokeRecord(redis: Redis, run: string, guarded: string): Promise<void> {
  await redis.del(journalKey(`${run}:${guarded}`, WHOLE_RUN));
}

/** Another holds the record under a lease, which runs out in `leftMs` milliseconds if it is not renewed. */
export class HeldError extends Error {
  constructor(readonly leftMs: number) {
    super(`another worker holds the journal for ${leftMs} ms`);
  }
}

/**
 * How long the record of a segment that has ended is kept, in milliseconds. Temporal has its outcome within some
 * milliseconds; a worker that dies before is followed by another after the workflow task's timeout, 3 s, or once somebody
 * has started it. At a hundred runs a second this leaves 12 000 records in Redis' memory.
 */
export const KEPT_ENDED_MS = 120_000;

/** The path of a segment that a fast host runs: it is all of its run. */
export const WHOLE_RUN = 'run';

const journalKey = (run: string, path: string): string => `millrace:journal:${run}:${path}`;

/** The field that names who may write, and the one with the end of its lease on Redis' clock. No call's name begins so. */
const OWNER = '@owner';
const LEASE = '@lease';
/** Before the name of a call, its count of attempts. */
const BEGUN = '#';

/** Each is one step for Redis: nobody takes the record over between the look at its owner and the write. */
const NOW = `local t = redis.call('time')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`;
const TAKE = `local lease = redis.call('hget', KEYS[1], '${LEASE}')
if lease then
  ${NOW}
  if tonumber(lease) > now then return tonumber(lease) - now end
  redis.call('hdel', KEYS[1], '${LEASE}')
end
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])
return redis.call('hgetall', KEYS[1])`;
const UNLESS_TAKEN = `if redis.call('hget', KEYS[1], '${OWNER}') ~= ARGV[1] then return false end`;
const BEGIN = `if redis.call('exists', KEYS[1]) == 1 then return false end
${NOW}
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${LEASE}', now + ARGV[3])
redis.call('pexpire', KEYS[1], ARGV[2])
return 1`;
const RENEW = `${UNLESS_TAKEN}
${NOW}
redis.call('hset', KEYS[1], '${LEASE}', now + ARGV[2])
return 1`;
const RELEASE = `${UNLESS_TAKEN}
redis.call('hdel', KEYS[1], '${LEASE}')
if ARGV[2] ~= '' then redis.call('publish', ARGV[2], ARGV[3]) end
return 1`;
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
