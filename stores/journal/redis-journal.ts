import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { begin, keepFor, release, restore, revoke, type Standing, take, write } from './scripts.js';

/** What came of the end of a lease: how many have heard what was told, or why nothing was. */
export type Released = { readonly heard: number } | Exclude<Standing, 'held'> | 'unreachable';

interface Lease {
  readonly ms: number;
  /** Until when it holds for sure, by this process's own clock, which stands still for no stopped process. */
  until: number;
  /** Redis has said that the record is this one's. */
  confirmed: boolean;
}

/** What a record is opened with. */
export interface OpenOptions {
  /** How long the record is kept after the last attempt has begun, in milliseconds. */
  readonly ttlMs: number;
  /** A fast host may hold it under leases of this length: a missing record is not taken before one would have run out. */
  readonly leaseMs?: number;
  /** When the workflow task asked for it, by Temporal's clock: the record is not taken from an owner that was asked later. */
  readonly askedAt?: number;
  /** Nobody has begun the record: a missing one is taken at once. */
  readonly untaken?: boolean;
}

/**
 * The record of one segment in Redis: a hash with a field for each call that has ended, a counter for each that has begun, a
 * mark for each that is under way, and its owner, who opened it last. A write is acknowledged before the next step starts, so
 * a worker that takes over knows all that has ended; and from then on the one before it writes nothing and begins nothing: a
 * worker that only lost sight of Temporal, or stood still, would repeat what the new one has done.
 *
 * Each write carries the number of those before it, so its owner learns when Redis has lost memory. Under a lease nobody else
 * can have taken the record in the meantime, and the owner restores it; without one it stops, and tells Temporal what it has.
 */
export class SegmentJournal {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #owner = randomUUID();
  readonly #ttlMs: number;
  readonly #lease: Lease | undefined;
  readonly #ended = new Map<string, Json>();
  readonly #begun = new Map<string, number>();
  /** Calls that are under way, with the workers that were lost in a row while they were. */
  readonly #underWay = new Map<string, number>();
  readonly #losses = new Map<string, number>();
  /** Writes that were sent. */
  #writes = 0;
  /** What came of the last restoration. It has all that was sent before it. */
  #restored: Promise<Standing> | undefined;
  /** The last write of those that nobody waits for. Redis answers in order: those before it have ended with it. */
  #writing: Promise<void> = Promise.resolve();
  #lost = false;

  private constructor(redis: Redis, key: string, ttlMs: number, leaseMs?: number) {
    this.#redis = redis;
    this.#key = key;
    this.#ttlMs = ttlMs;
    this.#lease =
      leaseMs === undefined ? undefined : { ms: leaseMs, until: performance.now() + leaseMs, confirmed: false };
  }

  /**
   * Takes the record over and reads what an earlier worker has left in it; `ranOut` says that a lease on it has run out, so
   * that its owner may have told Temporal more than the record has. Rejects with `JOURNAL_UNAVAILABLE`, and with a `HeldError`
   * while a lease holds,
   * and with a `SupersededError` where the owner was asked later.
   */
  static async open(
    redis: Redis,
    key: string,
    { ttlMs, leaseMs = 0, askedAt = 0, untaken = false }: OpenOptions,
  ): Promise<{ journal: SegmentJournal; ranOut: boolean }> {
    const journal = new SegmentJournal(redis, key, ttlMs);
    const taken = await reached(() =>
      take(redis, [key], journal.#owner, ttlMs, untaken ? 0 : leaseMs, leaseMs, askedAt),
    );
    if (taken === -1) throw new SupersededError();
    if (typeof taken === 'number') throw new HeldError(taken);
    const [ranOut, fields] = taken;
    for (let i = 0; i < fields.length; i += 2) journal.#read(...(fields.slice(i, i + 2) as [string, string]));
    return { journal, ranOut: ranOut === 1 };
  }

  #read(field: string, value: string): void {
    const call = field.slice(1);
    if (field.startsWith(BEGUN)) this.#begun.set(call, Number(value));
    // Its worker ended without a word.
    else if (field.startsWith(UNDER_WAY)) this.#losses.set(call, Number(value) + 1);
    else if (!field.startsWith('@')) this.#ended.set(field, JSON.parse(value));
  }

  /**
   * Begins a record that nobody has begun, under a lease: until it has run out, nobody takes the record over. Where it cannot
   * be begun, no call begins under it; nobody waits for this.
   */
  static begin(redis: Redis, key: string, ttlMs: number, leaseMs: number): SegmentJournal {
    const journal = new SegmentJournal(redis, key, ttlMs, leaseMs);
    const confirm = (begun: unknown) => {
      if (journal.#lease && begun === 1) journal.#lease.confirmed = true;
    };
    begin(redis, [key], journal.#owner, ttlMs, leaseMs).then(confirm, () => undefined);
    return journal;
  }

  /** Renews the lease. Rejects with `JOURNAL_UNAVAILABLE`. */
  renew(): Promise<Standing> {
    return this.#write({});
  }

  /**
   * Ends the lease, if the record is still this one's and has all that it knows; then it tells `message` on `channel`. Where it
   * cannot be written the lease runs out.
   */
  async release(told?: { readonly channel: string; readonly message: string }): Promise<Released> {
    const { channel = '', message = '' } = told ?? {};
    const end = () => release(this.#redis, [this.#key], this.#owner, this.#writes, channel, message);
    try {
      let said = await end();
      if (said === 'gone' || said === 'stale') {
        const standing = await this.#restore();
        if (standing !== 'held') return standing;
        said = await end();
      }
      if (typeof said === 'number') return { heard: said };
      return said === 'taken' || said === 'revoked' ? said : 'gone';
    } catch {
      return 'unreachable';
    }
  }

  ended(call: string): Json | undefined {
    return this.#ended.get(call);
  }

  /** How many attempts of a call have begun, over all workers, as far as this one knows. */
  begun(call: string): number {
    return this.#begun.get(call) ?? 0;
  }

  /** How many workers in a row were lost while this call was under way in them. */
  losses(call: string): number {
    return this.#losses.get(call) ?? 0;
  }

  /**
   * Counts an attempt that begins; its number, from 1, over all workers. Rejects with `JOURNAL_UNAVAILABLE`, and from then on
   * always: the segment ends, and nothing of it may begin while it does.
   *
   * Three looks keep two workers from beginning at once: at this process's own clock before and after, which a process that
   * stood still has not stopped, and in between at the owner, in Redis.
   */
  async begin(call: string): Promise<number> {
    this.#mayBegin();
    const count = this.begun(call) + 1;
    this.#begun.set(call, count);
    this.#underWay.set(call, this.losses(call));
    try {
      const fields = { [`${BEGUN}${call}`]: String(count), [`${UNDER_WAY}${call}`]: String(this.losses(call)) };
      const standing = await this.#write(fields, this.#ttlMs);
      if (standing !== 'held') throw new MillraceError('JOURNAL_UNAVAILABLE', WHY[standing]);
      // The end before this beginning has had its answer.
      this.#mayBegin();
      return count;
    } catch (error) {
      this.#lost = true;
      this.#begun.set(call, count - 1);
      this.#underWay.delete(call);
      throw error;
    }
  }

  #mayBegin(): void {
    if (this.#lost) throw new MillraceError('JOURNAL_UNAVAILABLE', 'the journal has a gap');
    if (this.#lease && performance.now() >= this.#lease.until)
      throw new MillraceError('JOURNAL_UNAVAILABLE', 'the lease on the journal may have run out');
  }

  /**
   * Records how a call has ended. Where it cannot be written the result still counts. Nobody has to wait for it: a call that
   * begins later does, for Redis answers in order, and `settled` does.
   */
  end(call: string, ended: Json): Promise<void> {
    this.#ended.set(call, ended);
    this.#writing = this.#keep(call, ended);
    return this.#writing;
  }

  async #keep(call: string, ended: Json): Promise<void> {
    this.#underWay.delete(call);
    try {
      const standing = await this.#write({ [call]: JSON.stringify(ended), [`${UNDER_WAY}${call}`]: '' });
      if (standing !== 'held') this.#lost = true;
    } catch {
      // Under a lease the next write finds that this one is missing, and restores it.
      if (!this.#lease) this.#lost = true;
    }
  }

  /**
   * An attempt has ended without a result: a worker that is lost from now on is not lost in it. Nobody waits for this.
   * @param made false: it has made no call, and does not count
   */
  left(call: string, made = true): void {
    this.#losses.delete(call);
    if (!this.#underWay.delete(call)) return;
    const count = this.begun(call) - 1;
    if (!made) this.#begun.set(call, count);
    const fields = { [`${UNDER_WAY}${call}`]: '', ...(!made && { [`${BEGUN}${call}`]: String(count) }) };
    this.#writing = this.#write(fields).then(
      () => undefined,
      () => undefined,
    );
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
    await keepFor(this.#redis, [this.#key], this.#owner, ms).catch(() => undefined);
  }

  /** Writes fields and renews the lease, where there is one. What it writes is in the maps before. */
  async #write(fields: Readonly<Record<string, string>>, ttlMs = 0): Promise<Standing> {
    const asked = performance.now();
    const restored = this.#restored;
    const before = this.#writes;
    const pairs = Object.entries(fields).flat();
    if (pairs.length > 0) this.#writes += 1;
    const writes = this.#writes;
    const leaseMs = this.#lease?.ms ?? 0;
    const said = await reached(() =>
      write(this.#redis, [this.#key], this.#owner, before, writes, ttlMs, leaseMs, ...pairs),
    );
    if (said === 'gone' || said === 'stale') {
      return await (this.#restored !== undefined && this.#restored !== restored ? this.#restored : this.#restore());
    }
    if (said === 'held') this.#confirm(asked);
    return said;
  }

  #confirm(asked: number): void {
    if (this.#lease) Object.assign(this.#lease, { until: asked + this.#lease.ms, confirmed: true });
  }

  /** Redis has lost memory. Whoever misses the record waits for a lease before taking it: until then it is this one's. */
  #restore(): Promise<Standing> {
    const lease = this.#lease;
    if (!lease?.confirmed || performance.now() >= lease.until) return Promise.resolve('gone');
    this.#restored = this.#rewrite(lease);
    return this.#restored;
  }

  async #rewrite(lease: Lease): Promise<Standing> {
    const asked = performance.now();
    const fields = [
      ...[...this.#ended].flatMap(([call, ended]) => [call, JSON.stringify(ended)]),
      ...[...this.#begun].flatMap(([call, count]) => [`${BEGUN}${call}`, String(count)]),
      ...[...this.#underWay].flatMap(([call, losses]) => [`${UNDER_WAY}${call}`, String(losses)]),
    ];
    const said = await reached(() =>
      restore(this.#redis, [this.#key], this.#owner, this.#writes, this.#ttlMs, lease.ms, '', ...fields),
    );
    if (said === 'held') this.#confirm(asked);
    return said;
  }
}

const WHY: Readonly<Record<Exclude<Standing, 'held'>, string>> = {
  taken: 'another worker has taken the journal over',
  revoked: 'the run has not started',
  gone: 'the state store has lost the journal',
};

/** A guarded run has its outcome in Temporal: its record need not be kept for long. */
export async function releaseRecord(redis: Redis, key: string): Promise<void> {
  await redis.pexpire(key, KEPT_ENDED_MS);
}

/** The run has not started: nothing of it begins, and what a fast host runs of it is ended. */
export async function revokeRecord(redis: Redis, key: string): Promise<void> {
  await revoke(redis, [key], KEPT_ENDED_MS);
}

/** Another holds the record under a lease, which runs out in `leftMs` milliseconds if it is not renewed. */
export class HeldError extends Error {
  constructor(readonly leftMs: number) {
    super(`another worker holds the journal for ${leftMs} ms`);
  }
}

/** The record is another's, who was asked for it later. */
export class SupersededError extends Error {
  constructor() {
    super('another worker has the journal, and was asked for it later');
  }
}

/**
 * How long the record of a segment that has ended is kept, in milliseconds. Temporal has its outcome within some
 * milliseconds; a worker that dies before is followed by another after the workflow task's timeout, 3 s, or once somebody
 * has started it. At a hundred runs a second this leaves 12 000 records in Redis' memory.
 */
export const KEPT_ENDED_MS = 120_000;

/** The record of a segment of one execution of a run. A run's keys are on one node of a Redis Cluster. */
export const segmentKey = (run: string, execution: string, path: string): string =>
  `millrace:{${run}}:journal:${execution}:${path}`;

/** The record of a guarded run, whose fast host runs all of it as one segment. */
export const guardedKey = (run: string, guarded: string): string => segmentKey(run, guarded, 'run');

/** Before the name of a call, its count of attempts. */
const BEGUN = '#';
/** Before the name of a call that is under way, the workers that were lost in it. */
const UNDER_WAY = '~';

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
