import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { ageOf, type Moment, momentAgo } from '../../runtime/moment.js';
import { HeldError, SupersededError } from './errors.js';
import { ALIVE, BEGUN, endFields, endIn, UNDER_WAY, UNTIL, unmarked } from './fields.js';
import { withErasable } from './keys.js';
import {
  addIfMarked,
  begin,
  END,
  endLease,
  keepFor,
  release,
  restore,
  type Standing,
  TAKES,
  take,
  write,
} from './scripts.js';

/** The outcome of releasing a lease: the number of subscribers that received the message, or why none was sent. */
export type Released = { readonly receivers: number } | Exclude<Standing, 'held'> | 'unreachable';

interface Lease {
  readonly ms: number;
  /** Guaranteed end of the lease, by this process's own clock, which runs on while the process is stopped. */
  until: number;
  /** Redis has confirmed the ownership. */
  confirmed: boolean;
}

/** Options of opening a journal. */
export interface OpenOptions {
  /** Expiry of the journal, counted from the start of the last attempt, in milliseconds. */
  readonly ttlMs: number;
  /**
   * A fast host may hold it under leases of this length, in milliseconds: a missing journal is taken only after one
   * would have expired.
   */
  readonly leaseMs?: number;
  /**
   * When the workflow scheduled the segment, by Temporal's clock: the journal is not taken from an owner that was
   * scheduled later.
   */
  readonly askedAt?: number;
  /** When the segment began in this process: the journal of a run that was erased since is not opened. Default: now. */
  readonly begunAt?: Moment;
  /** No worker has begun the journal: a missing one is taken at once. */
  readonly untaken?: boolean;
  /** What is left of the segment's time, in milliseconds: the first one to open it records this. Absent: it has no end. */
  readonly leftMs?: number;
  /**
   * The calls that journals of this worker have in progress, by owner: one that takes its own segment over again, after it has stalled,
   * has lost none of them.
   */
  readonly own?: Map<string, Set<string>>;
}

/**
 * The journal of one segment in Redis: a hash with a field for each call that has ended, a counter and a time limit for each
 * that has begun, a mark for each that is in progress, and the owner, which opened it last. A write is acknowledged before the
 * next step starts, so a worker that takes over sees every call that has ended; from then on the previous owner can
 * neither write nor begin a call. Otherwise a worker that lost its connection to Temporal, or was stopped for a while,
 * would repeat calls of the new owner.
 *
 * Each write carries the number of earlier writes, so the owner detects that Redis has lost data. Under a lease no
 * other worker can have taken the journal in the meantime, and the owner restores it; without a lease the owner stops
 * and reports to Temporal what it has.
 */
export class SegmentJournal {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #keys: readonly [record: string, erasable: string, erased: string];
  readonly #owner = randomUUID();
  readonly #ttlMs: number;
  readonly #begunAt: Moment;
  #lease: Lease | undefined;
  readonly #ended = new Map<string, Json>();
  readonly #begun = new Map<string, number>();
  /** Until when each call may be tried, as its first attempt has recorded it, on the clock of `performance.now()`; by no name the segment. */
  readonly #until = new Map<string, number>();
  /** Calls in progress, with the number of takeovers in a row during each. */
  readonly #underWay = new Map<string, number>();
  /** Calls that Redis knows to be in progress in this worker. */
  readonly #marked = new Set<string>();
  readonly #own: OpenOptions['own'];
  /** When its segment was scheduled, by Temporal's clock; 0: not by a workflow. */
  #askedAt = 0;
  /** Of its take; less than that of a later one. */
  #takes = 0;
  /** Number of takeovers in a row during each call. */
  readonly #takeovers = new Map<string, number>();
  /** How many of these workers have reported since that they are alive. */
  readonly #alive = new Map<string, number>();
  /** Number of writes sent. */
  #writes = 0;
  /** Outcome of the last restoration, which includes all writes sent before it. */
  #restored: Promise<Standing> | undefined;
  /** The last write that was not awaited. Redis answers in order, so it settles after all earlier ones. */
  #writing: Promise<void> = Promise.resolve();
  #lost = false;

  private constructor(
    redis: Redis,
    key: string,
    { ttlMs, leaseMs, own, begunAt = momentAgo() }: Pick<OpenOptions, 'ttlMs' | 'leaseMs' | 'own' | 'begunAt'>,
  ) {
    this.#redis = redis;
    this.#key = key;
    this.#keys = withErasable(key);
    this.#ttlMs = ttlMs;
    this.#own = own;
    this.#begunAt = begunAt;
    this.#lease =
      leaseMs === undefined ? undefined : { ms: leaseMs, until: performance.now() + leaseMs, confirmed: false };
  }

  /**
   * Takes over the journal and reads what an earlier worker has recorded; `ranOut`: a lease on it has expired, so its
   * owner may have reported more to Temporal than the journal contains. Rejects with `JOURNAL_UNAVAILABLE`, with
   * `HeldError` while a lease holds, and with `SupersededError` if the owner was scheduled later, or the run was erased since the segment began.
   */
  static async open(
    redis: Redis,
    key: string,
    { leaseMs = 0, askedAt = 0, untaken = false, leftMs, ...options }: OpenOptions,
  ): Promise<{ journal: SegmentJournal; ranOut: boolean }> {
    const journal = new SegmentJournal(redis, key, options);
    return { journal, ranOut: await journal.#take(untaken ? 0 : leaseMs, leaseMs, askedAt, endIn(leftMs)) };
  }

  /** Whether a lease has expired. */
  async #take(missingMs: number, leaseMs: number, askedAt: number, leftMs: number | ''): Promise<boolean> {
    const redis = this.#redis;
    this.#askedAt = askedAt;
    const asked = [missingMs, leaseMs, askedAt, leftMs, this.#ageMs()] as const;
    const taken = await reached(() => take(redis, this.#keys, this.#owner, this.#ttlMs, ...asked));
    if (taken === -1) throw new SupersededError();
    if (typeof taken === 'number') throw new HeldError(taken);
    const [ranOut, fields, before, now] = taken;
    const own = this.#own?.get(before);
    this.#takes = Number(fields[fields.indexOf(TAKES) + 1]);
    for (let i = 0; i < fields.length; i += 2) this.#read(...(fields.slice(i, i + 2) as [string, string]), now, own);
    // Nobody has counted it as lost: it reports nothing.
    own?.clear();
    // Where its reply is lost, the lease may be gone, and the next take would not tell of it. Where it stays, the next take does.
    if (ranOut === 1) await endLease(redis, [this.#key], this.#owner).catch(() => undefined);
    return ranOut === 1;
  }

  /**
   * @param now by Redis' clock
   * @param own calls that this worker itself has in progress
   */
  #read(field: string, value: string, now: number, own?: ReadonlySet<string>): void {
    const isEnd = field.startsWith(END);
    const call = field.slice(isEnd ? END.length : 1);
    const endsBy = (clock: number) => this.#until.set(call, performance.now() + Number(value) - clock);
    if (field.startsWith(BEGUN)) this.#begun.set(call, Number(value));
    else if (isEnd) endsBy(now);
    else if (field.startsWith(UNTIL)) {
      // All that a worker of an earlier release has written.
      if (!this.#until.has(call)) endsBy(Date.now());
    }
    // Its worker was lost during the call, or has stalled.
    else if (field.startsWith(UNDER_WAY)) this.#takeovers.set(call, Number(value) + (own?.has(call) ? 0 : 1));
    else if (field.startsWith(ALIVE)) this.#alive.set(call, Number(value));
    else if (!field.startsWith('@')) this.#ended.set(field, JSON.parse(value));
  }

  /**
   * Begins a journal that no worker has begun, under a lease that excludes others until it expires. Not awaited: if it
   * fails, or the run was erased since `begunAt`, no call begins under it.
   */
  static begin(
    redis: Redis,
    key: string,
    {
      ttlMs,
      leaseMs,
      leftMs,
      begunAt,
    }: Pick<OpenOptions, 'ttlMs' | 'leftMs' | 'begunAt'> & { readonly leaseMs: number },
  ): SegmentJournal {
    const journal = new SegmentJournal(redis, key, { ttlMs, leaseMs, ...(begunAt !== undefined && { begunAt }) });
    if (leftMs !== undefined) journal.#until.set('', performance.now() + leftMs);
    const confirm = (begun: unknown) => {
      if (journal.#lease && begun === 1) journal.#lease.confirmed = true;
    };
    const asked = [ttlMs, leaseMs, endIn(leftMs), journal.#ageMs()] as const;
    begin(redis, journal.#keys, journal.#owner, ...asked).then(confirm, () => undefined);
    return journal;
  }

  /**
   * Rejects with `JOURNAL_UNAVAILABLE` if another worker has taken the journal over, or its run has not started. While the store is away, or
   * has lost the journal, this worker's calls go on: then only the end of its workflow task gives them to another one.
   */
  async held(): Promise<void> {
    const standing = await this.#write({}).catch(() => undefined);
    if (standing !== 'taken' && standing !== 'revoked') return;
    this.#lost = true;
    throw new MillraceError('JOURNAL_UNAVAILABLE', WHY[standing]);
  }

  /** Renews the lease. Rejects with `JOURNAL_UNAVAILABLE`. */
  renew(): Promise<Standing> {
    return this.#write({});
  }

  /**
   * Ends the lease if this worker still owns the journal and the journal is complete, then publishes `message` on
   * `channel`. If the write fails the lease expires by itself.
   */
  async release(announcement?: { readonly channel: string; readonly message: string }): Promise<Released> {
    const { channel = '', message = '' } = announcement ?? {};
    const end = () => release(this.#redis, [this.#key], this.#owner, this.#writes, channel, message);
    try {
      let said = await end();
      if (said === 'gone' || said === 'stale') {
        const standing = await this.#restore();
        if (standing !== 'held') return standing;
        said = await end();
      }
      if (typeof said === 'number') return { receivers: said };
      return said === 'taken' || said === 'revoked' ? said : 'gone';
    } catch {
      return 'unreachable';
    }
  }

  /** Its calls have ended: no write renews the lease from now on. */
  withoutLease(): this {
    this.#lease = undefined;
    return this;
  }

  #ageMs(): number {
    return ageOf(this.#begunAt);
  }

  ended(call: string): Json | undefined {
    return this.#ended.get(call);
  }

  /** Whether any call has ended. */
  get hasEnds(): boolean {
    return this.#ended.size > 0;
  }

  /** Names of the calls that have ended. */
  get ends(): Iterable<string> {
    return this.#ended.keys();
  }

  /** Number of attempts of a call that have begun, over all workers, as far as this one knows. */
  begun(call: string): number {
    return this.#begun.get(call) ?? 0;
  }

  /** How long a call may still be tried, as recorded by its first attempt, in milliseconds; undefined: none began. Without a call: the segment. */
  leftMs(call = ''): number | undefined {
    const until = this.#until.get(call);
    return until === undefined ? undefined : until - performance.now();
  }

  /** Number of workers lost in a row during this call, without those that have reported since that they are alive. */
  losses(call: string): number {
    return Math.max(0, (this.#takeovers.get(call) ?? 0) - (this.#alive.get(call) ?? 0));
  }

  /**
   * Counts an attempt as begun and returns its number, from 1, over all workers. Rejects with `JOURNAL_UNAVAILABLE`,
   * and always after that: the segment is ending, and no further call may begin.
   *
   * Three checks keep two workers from beginning the same call: this process's clock before and after, which runs on
   * while a process is stopped, and the owner in Redis between them.
   *
   * @param leftMs time that is left for all attempts of the call, in milliseconds; the first attempt's is recorded
   */
  async begin(call: string, leftMs = Number.POSITIVE_INFINITY): Promise<number> {
    this.#mayBegin();
    const count = this.begun(call) + 1;
    const until = this.#until.get(call) ?? performance.now() + leftMs;
    this.#until.set(call, until);
    const fields = {
      ...this.#count(call, 1),
      ...endFields(call, until),
      ...this.#mark(call, this.#takeovers.get(call) ?? 0),
    };
    try {
      await this.#writeMarks(call, fields);
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
   * Records the end of a call. If the write fails the result still counts. Need not be awaited: Redis answers in order,
   * so the next `begin` and `settled` wait for it.
   */
  end(call: string, ended: Json): Promise<void> {
    this.#ended.set(call, ended);
    this.#writing = this.#keep(call, ended);
    return this.#writing;
  }

  async #keep(call: string, ended: Json): Promise<void> {
    this.#underWay.delete(call);
    try {
      const standing = await this.#write({ [call]: JSON.stringify(ended), ...unmarked(call) });
      if (standing === 'held') this.#marked.delete(call);
      else this.#lost = true;
    } catch {
      // Under a lease the next write detects the missing one and restores it.
      if (!this.#lease) this.#lost = true;
    }
  }

  /**
   * Marks an attempt as ended without a result: losing the worker after this does not count against the call. Not
   * awaited.
   * @param made false: no request was made, so the attempt is not counted
   */
  left(call: string, made = true): void {
    this.#takeovers.delete(call);
    this.#alive.delete(call);
    if (!this.#underWay.delete(call)) return;
    const count = this.begun(call) - 1;
    if (!made) this.#begun.set(call, count);
    const fields = { ...unmarked(call), ...(!made && { [`${BEGUN}${call}`]: String(count) }) };
    const written = (standing: Standing) => {
      if (standing === 'held') this.#marked.delete(call);
    };
    this.#writing = this.#write(fields).then(written, () => undefined);
  }

  /**
   * Nothing of a call in progress is sent until `goOn` has resolved: if the worker is lost meanwhile, neither the loss nor the attempt
   * counts. Not awaited.
   */
  rest(call: string): void {
    if (!this.#underWay.has(call)) return;
    // A worker that takes over adds one.
    const fields = { ...this.#count(call, -1), ...this.#mark(call, (this.#takeovers.get(call) ?? 0) - 1) };
    const written = (standing: Standing) => {
      // A worker that has taken over before has counted this one as lost.
      if (standing === 'held') this.#marked.delete(call);
    };
    this.#writing = this.#write(fields).then(written, () => undefined);
  }

  /** Rejects with `JOURNAL_UNAVAILABLE`, as `begin` does, and always after that. */
  async goOn(call: string): Promise<void> {
    this.#mayBegin();
    if (!this.#underWay.has(call)) return;
    const fields = { ...this.#count(call, 1), ...this.#mark(call, this.#takeovers.get(call) ?? 0) };
    try {
      await this.#writeMarks(call, fields);
    } catch (error) {
      this.#lost = true;
      throw error;
    }
  }

  /** Attempts that have begun: one more or less. */
  #count(call: string, more: 1 | -1): Readonly<Record<string, string>> {
    const count = this.begun(call) + more;
    this.#begun.set(call, count);
    return { [`${BEGUN}${call}`]: String(count) };
  }

  #mark(call: string, takeovers: number): Readonly<Record<string, string>> {
    this.#underWay.set(call, takeovers);
    return { [`${UNDER_WAY}${call}`]: String(takeovers) };
  }

  /** Writes that a call is in progress. The owner in Redis, and the lease after the answer, allow what follows. */
  async #writeMarks(call: string, fields: Readonly<Record<string, string>>): Promise<void> {
    const standing = await this.#write(fields, this.#ttlMs);
    if (standing !== 'held') throw new MillraceError('JOURNAL_UNAVAILABLE', WHY[standing]);
    this.#marked.add(call);
    this.#own?.set(this.#owner, this.#marked);
    // Redis has acknowledged all earlier ends.
    this.#mayBegin();
  }

  /** Waits for all writes. True if the journal contains every call that has ended. */
  async settled(): Promise<boolean> {
    await this.#writing;
    this.#own?.delete(this.#owner);
    return !this.#lost;
  }

  /**
   * Keeps the journal of an ended segment for `ms` milliseconds more, unless another worker has taken it over. If the
   * write fails the previous expiry applies.
   */
  async keepFor(ms: number): Promise<void> {
    await keepFor(this.#redis, this.#keys, this.#owner, ms).catch(() => undefined);
  }

  /**
   * Writes a journal without a lease again if Redis has lost data of it, unless a later attempt has taken it over. From then on no call begins
   * by it, since it is unknown who has had it meanwhile; ends are recorded. False if Redis could not be reached.
   */
  async writeAgain(): Promise<boolean> {
    try {
      const standing = await this.#write({});
      if (standing === 'held' || standing === 'revoked') return true;
      // An earlier attempt may have been the first to write it again.
      this.#lost = true;
      await this.#rewrite(0);
      return true;
    } catch {
      return false;
    }
  }

  /** Writes fields and renews the lease, if there is one. The fields must be in the maps already. */
  async #write(fields: Readonly<Record<string, string>>, ttlMs = 0): Promise<Standing> {
    const sentAt = performance.now();
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
    if (said === 'held') this.#confirm(sentAt);
    if (said === 'taken') this.#reportAlive();
    return said;
  }

  /**
   * This worker has stalled, and another one has counted it as lost in its calls. Reported only while the calls are still in
   * progress there; not awaited.
   */
  #reportAlive(): void {
    const fields = [...this.#marked].flatMap((call) => [`${UNDER_WAY}${call}`, `${ALIVE}${call}`]);
    this.#marked.clear();
    if (fields.length > 0) addIfMarked(this.#redis, [this.#key], ...fields).catch(() => undefined);
  }

  #confirm(sentAt: number): void {
    if (this.#lease) Object.assign(this.#lease, { until: sentAt + this.#lease.ms, confirmed: true });
  }

  /**
   * Restores the journal after Redis has lost data. Other workers wait for a lease before they take a missing journal,
   * so until then it is this worker's.
   */
  #restore(): Promise<Standing> {
    const lease = this.#lease;
    if (!lease?.confirmed || performance.now() >= lease.until) return Promise.resolve('gone');
    this.#restored = this.#rewrite(lease.ms);
    return this.#restored;
  }

  async #rewrite(leaseMs: number): Promise<Standing> {
    const sentAt = performance.now();
    const fields: [of: typeof TAKES, takes: string, ...fields: string[]] = [
      TAKES,
      String(this.#takes),
      ...[...this.#ended].flatMap(([call, ended]) => [call, JSON.stringify(ended)]),
      ...[...this.#begun].flatMap(([call, count]) => [`${BEGUN}${call}`, String(count)]),
      ...[...this.#until].flatMap(([call, until]) => Object.entries(endFields(call, until)).flat()),
      ...[...this.#underWay].flatMap(([call, takeovers]) => [`${UNDER_WAY}${call}`, String(takeovers)]),
      ...[...this.#alive].flatMap(([call, count]) => [`${ALIVE}${call}`, String(count)]),
    ];
    const said = await reached(() =>
      restore(
        this.#redis,
        this.#keys,
        this.#owner,
        this.#writes,
        this.#ttlMs,
        leaseMs,
        this.#askedAt,
        this.#ageMs(),
        ...fields,
      ),
    );
    if (said === 'held') this.#confirm(sentAt);
    if (said === 'taken') this.#reportAlive();
    return said;
  }
}

const WHY: Readonly<Record<Exclude<Standing, 'held'>, string>> = {
  taken: 'another worker has taken over the journal',
  revoked: 'the run has not started',
  gone: 'the state store has lost the journal',
};

async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new MillraceError(
      'JOURNAL_UNAVAILABLE',
      `the journal is unavailable: ${messageOf(error)}`,
      {},
      { cause: error },
    );
  }
}
