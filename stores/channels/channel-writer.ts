import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { stepOf } from '../../pipelines/run/channel-path.js';
import { ageOf, type Moment, momentAgo } from '../../runtime/moment.js';
import {
  type ChannelEnd,
  type ChannelLog,
  type ChannelName,
  type Entry,
  type Held,
  hashAfter,
  KEPT_CLOSED_MS,
  nextGeneration,
  type Restoration,
  startHash,
} from './channel.js';

export interface WriterOptions {
  /** Aborts when the attempt ends: nothing is written afterwards. */
  readonly signal: AbortSignal;
  /** How long the channel is kept after its last write, in milliseconds; one that is closed for an hour at least. */
  readonly ttlMs: number;
  /**
   * Number of the first entry that the writer needs of those that are there; they are read from this one on. It cannot store the others
   * again: if the store loses entries meanwhile, the writer ends with `STREAM_LOST`. Default: 0, all.
   */
  readonly first?: number;
  /**
   * An earlier writer may have committed entries: a store that is away is waited for until the signal aborts, since whoever goes on without
   * them may make others. Default: false, two seconds.
   */
  readonly patient?: boolean;
  /**
   * When the attempt, or the segment that it is part of, began: it opens nothing of a run that was erased since, and ends with `STREAM_TAKEN`.
   * Default: now.
   */
  readonly begunAt?: Moment | undefined;
}

/** Interval in which an idle writer checks that the store still has its entries, in milliseconds. */
const BEAT_MS = 1_000;

/** Pause before a store that cannot be reached, or is full, is tried again, in milliseconds. */
const PAUSE_MS = 100;

/** How long a store is waited for before anything is streamed, in milliseconds. */
const AWAY_MS = 2_000;

/** How long a writer waits for readers that lag, or for a store without room, in milliseconds. */
const FULL_MS = 30_000;

/** How long a store has no room until those are told who wait for a commit, in milliseconds. */
const HELD_BACK_MS = 1_000;

/** Entries and bytes that may wait for the store: a writer that cannot be held back fails beyond that. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024;

/**
 * The only writer of a channel. Entries are numbered and hashed as they are added, and committed in order in the
 * background; `settled` resolves when all are. A writer whose store has lost entries stores them again, if it has them
 * all: the hash shows whether what the store still has is the beginning of them.
 */
export class ChannelWriter {
  readonly #log: ChannelLog;
  readonly #name: ChannelName;
  readonly #owner: string;
  readonly #options: Begun;
  readonly #from: number;
  /** The store had entries before `#from` that were not read. */
  readonly #partial: boolean;
  readonly #hashFrom: string;
  readonly #entries: Entry[];
  #hash: string;
  #end: string | undefined;
  #endStored = false;
  /** Number of committed entries. */
  #stored: number;
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #beat: NodeJS.Timeout | undefined;
  /** Who is told that the store has no room. */
  readonly #heldBack = new Set<() => void>();
  /** What earlier writers have committed. The store may have dropped the first `from` entries, which readers have passed: they lead from the hash `start` to `hash`. */
  readonly before: {
    readonly from: number;
    readonly start: string;
    readonly hash: string;
    readonly values: readonly Json[];
    readonly end: ChannelEnd | undefined;
  };

  private constructor(log: ChannelLog, name: ChannelName, owner: string, options: Begun, held: Held) {
    this.#log = log;
    this.#name = name;
    this.#owner = owner;
    this.#options = options;
    this.#from = held.from;
    const { first = 0 } = options;
    // What a store has trimmed may be what was not asked for: then none were left out, and the writer ends earlier than it must.
    this.#partial = held.from > 0 && held.from <= first;
    this.#entries = [...held.entries];
    this.#hash = held.hash;
    this.#hashFrom = held.entries[0]?.before ?? held.hash;
    this.#stored = held.count;
    this.#end = held.end;
    this.#endStored = held.end !== undefined;
    this.before = {
      from: this.#from,
      start: startHash(name),
      hash: this.#hashFrom,
      values: held.entries.map(({ text }) => JSON.parse(text) as Json),
      end: held.end === undefined ? undefined : (JSON.parse(held.end) as ChannelEnd),
    };
    if (this.#endStored) return;
    this.#beat = setInterval(() => this.#write(true), BEAT_MS);
    options.signal.addEventListener('abort', () => this.close(), { once: true });
    if (options.signal.aborted) this.close();
  }

  /**
   * Opens a channel for writing: an earlier writer cannot write any more. Throws `STREAM_LOST` if the store cannot be
   * reached for two seconds, unless the writer is patient: nothing is streamed then; `STREAM_TAKEN` if the run was erased since the attempt
   * began. Throws the signal's reason.
   */
  static async open(log: ChannelLog, name: ChannelName, options: WriterOptions): Promise<ChannelWriter> {
    const owner = randomUUID();
    const began = performance.now();
    const { ttlMs, first, patient = false, begunAt = momentAgo() } = options;
    for (;;) {
      options.signal.throwIfAborted();
      let held: Held | undefined;
      try {
        held = await log.open(name, owner, ttlMs, first, ageOf(begunAt));
      } catch {
        if (!patient && performance.now() - began > AWAY_MS) throw lost(name);
        await sleep(PAUSE_MS, undefined, { signal: options.signal }).catch(() => undefined);
        continue;
      }
      if (held === undefined) throw taken(name);
      return new ChannelWriter(log, name, owner, { ...options, begunAt }, held);
    }
  }

  /**
   * Lets the stage that writes these channels start over: they are void, and the writers returned write those of the next generation.
   * Undefined if a reader has kept what one of them holds: nothing changes then. Throws what `settled` throws.
   */
  static async startOver(writers: readonly ChannelWriter[]): Promise<readonly ChannelWriter[] | undefined> {
    await Promise.all(writers.map((writer) => writer.settled()));
    const [first] = writers;
    if (!first) return undefined;
    const log = first.#log;
    const { signal, ttlMs } = first.#options;
    const channels = writers.map((writer) => ({ name: writer.#name, owner: writer.#owner }));
    for (;;) {
      signal.throwIfAborted();
      const standing = await log.startOver(channels, ttlMs).catch((error: unknown) => {
        if (error instanceof MillraceError) throw error;
        return 'away' as const;
      });
      if (standing === 'taken') throw taken(first.#name);
      if (standing === 'kept') return undefined;
      if (standing === 'void') return writers.map((writer) => writer.#again());
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Number of entries, committed or not. */
  get count(): number {
    return this.#from + this.#entries.length;
  }

  /** Hash of all of them. */
  get hash(): string {
    return this.#hash;
  }

  /** Adds entries. Throws what has ended the writer: `STREAM_TAKEN`, `STREAM_FULL`, `STREAM_LOST`. */
  add(...values: readonly Json[]): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const value of values) {
      const entry = { before: this.#hash, text: JSON.stringify(value) };
      this.#entries.push(entry);
      this.#hash = hashAfter(entry);
      this.#waitingBytes += Buffer.byteLength(entry.text);
    }
    if (this.#waitingBytes > MOST_WAITING_BYTES) this.#fail(full(this.#name));
    this.#write();
  }

  /** Adds the end, after the last entries, in one step with them; resolves when everything is committed. */
  async end(end: ChannelEnd, ...values: readonly Json[]): Promise<void> {
    if (this.#end === undefined) {
      this.#end = JSON.stringify(end);
      this.add(...values);
    }
    await this.settled();
  }

  /**
   * Resolves when everything added so far is committed. Rejects as `add` throws, and with the signal's reason.
   * @param heldBack called, perhaps repeatedly, while the store has said for a second or longer that it has no room. A store that is away says
   *   nothing.
   */
  async settled(heldBack?: () => void): Promise<void> {
    if (heldBack) this.#heldBack.add(heldBack);
    try {
      // What is added while a write ends is no part of it.
      for (this.#write(); this.#writing !== undefined; this.#write()) await this.#writing;
    } finally {
      if (heldBack) this.#heldBack.delete(heldBack);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Writes nothing more. */
  close(): void {
    clearInterval(this.#beat);
  }

  #write(beat = false): void {
    if (this.#writing || this.#failure !== undefined || this.#endStored) return;
    if (!beat && this.#stored === this.count && this.#end === undefined) return;
    this.#writing = this.#writeAll(beat).then(
      () => {
        this.#writing = undefined;
      },
      (error: unknown) => {
        this.#writing = undefined;
        this.#fail(error);
      },
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.close();
  }

  async #writeAll(beat: boolean): Promise<void> {
    const { signal } = this.#options;
    let first = beat;
    let fullSince: number | undefined;
    // As `fullSince`, but begins anew when the store was away.
    let noRoomSince: number | undefined;
    while (first || this.#stored < this.count || (this.#end !== undefined && !this.#endStored)) {
      first = false;
      signal.throwIfAborted();
      try {
        const standing = await this.#send();
        if (standing === 'held') {
          fullSince = undefined;
          noRoomSince = undefined;
          continue;
        }
        if (standing === 'taken') throw taken(this.#name);
        const now = performance.now();
        fullSince ??= now;
        noRoomSince ??= now;
        if (now - fullSince > FULL_MS) throw full(this.#name);
        if (now - noRoomSince >= HELD_BACK_MS) for (const tell of this.#heldBack) tell();
      } catch (error) {
        if (error instanceof MillraceError) throw error;
        noRoomSince = undefined;
        // The store cannot be reached or has no memory: a beat tries again at its next turn.
        if (beat && this.#stored === this.count && this.#end === undefined) return;
      }
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The writer of the next generation, which is there and empty. */
  #again(): ChannelWriter {
    this.#endStored = true;
    this.close();
    const name = nextGeneration(this.#name);
    const held = { count: 0, hash: startHash(name), from: 0, entries: [] };
    return new ChannelWriter(this.#log, name, this.#owner, this.#options, held);
  }

  async #send(): Promise<'held' | 'taken' | 'full'> {
    const count = this.#stored;
    const total = this.count;
    const after = this.#hash;
    const end = this.#end;
    const { ttlMs: own } = this.#options;
    const ttlMs = end === undefined ? own : Math.max(own, KEPT_CLOSED_MS);
    const entries = this.#entries.slice(count - this.#from);
    const write = { owner: this.#owner, entries, after, end, ttlMs };
    let standing = await this.#log.append(this.#name, { ...write, count, hash: this.#hashAt(count) });
    if (standing === 'gone' || standing === 'differs') {
      const held = await this.#log.read(this.#name, 0, 0);
      if (held !== undefined && held.count > count && held.hash === this.#hashAt(held.count)) {
        // Only a reply was lost: nothing is stored again, and the channel can still become void.
        this.#committed(held.count);
        return 'held';
      }
      standing = await this.#restore(held, { ...write, entries: this.#entries.slice(0, total - this.#from) });
    }
    if (standing !== 'held') return standing as 'taken' | 'full';
    this.#committed(total);
    if (end !== undefined) {
      this.#endStored = true;
      this.close();
    }
    return 'held';
  }

  /** The store has so many entries. */
  #committed(count: number): void {
    this.#stored = count;
    this.#waitingBytes = this.#entries
      .slice(count - this.#from)
      .reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  }

  /**
   * The store has other entries than were committed. If they are the beginning of these, it has lost the rest: everything is
   * stored again, up to the entries that the write was begun with: its hash is theirs, and more may be added meanwhile. Readers
   * would miss what this writer has not read.
   */
  async #restore(held: Held | undefined, write: Omit<Restoration, 'from'>): Promise<'held' | 'taken'> {
    if (this.#partial) throw lost(this.#name);
    const known = held === undefined || (held.count <= this.count && held.hash === this.#hashAt(held.count));
    if (!known) throw lost(this.#name);
    const ageMs = ageOf(this.#options.begunAt);
    const done = await this.#log.restore(this.#name, { ...write, from: this.#from, ageMs });
    if (done === 'kept') throw lost(this.#name);
    return done;
  }

  /** Hash of the entries before number `count`; undefined before the first kept one. */
  #hashAt(count: number): string {
    if (count === this.count) return this.#hash;
    return this.#entries[count - this.#from]?.before ?? (count === this.#from ? this.#hashFrom : '');
  }
}

type Begun = WriterOptions & { readonly begunAt: Moment };

const called = ({ path, of }: ChannelName): string => `the stream ${of} of stage "${stepOf(path)}"`;

const taken = (name: ChannelName): MillraceError =>
  new MillraceError(
    'STREAM_TAKEN',
    `${called(name)} is written by another attempt, or its run was erased; this one ends`,
  );

const full = (name: ChannelName): MillraceError =>
  new MillraceError('STREAM_FULL', `${called(name)} has no room: its readers lag behind, or the state store is full`);

export const lost = (name: ChannelName): MillraceError =>
  new MillraceError('STREAM_LOST', `${called(name)}: the state store has lost entries, which cannot be stored again`);
