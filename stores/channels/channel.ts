import { createHash } from 'node:crypto';
import type { Json } from '../../pipelines/json.js';

/** Identifies a channel: one output of one stage of one run. */
export interface ChannelName {
  readonly run: string;
  /** Path of the producing stage in the run: `chunks[3]/answer`. */
  readonly path: string;
  /** Which of its outputs: `sentences`, `tokens`, `chunks`. */
  readonly of: string;
  /** How often its producer had started over before. Absent: never. */
  readonly generation?: number;
}

/** An entry as stored: the hash of everything before it, and its value as JSON. A committed entry never changes. */
export interface Entry {
  readonly before: string;
  readonly text: string;
}

/** Closes a channel. */
export interface ChannelEnd {
  /**
   * `done`: the producer has ended. `cut`: it could not continue, and its author accepts what is there. `void`: it has started over; the
   * channel of the next generation takes the place of this one. If there is none, the collected value does.
   */
  readonly as: 'done' | 'cut' | 'void';
  /** What the producer returns when it is tried again: its work is not repeated. */
  readonly outcome?: Json;
}

/** What a log holds of a channel. */
export interface Held {
  /** Number of entries committed so far, including those trimmed. */
  readonly count: number;
  /** Hash of all entries committed so far. */
  readonly hash: string;
  /** Number of the first entry in `entries`. */
  readonly from: number;
  readonly entries: readonly Entry[];
  /** JSON of the `ChannelEnd`; undefined while the channel is open. */
  readonly end?: string | undefined;
}

/**
 * Reply to a write. `taken`: another writer has opened the channel since. `full`: its readers lag too far behind.
 * `gone`: the store has lost the channel. `differs`: it has another number of entries or another hash than the writer
 * assumes.
 */
export type Standing = 'held' | 'taken' | 'full' | 'gone' | 'differs';

export interface Write {
  readonly owner: string;
  /** What the writer knows to be committed. */
  readonly count: number;
  readonly hash: string;
  readonly entries: readonly Entry[];
  /** Hash after the entries. */
  readonly after: string;
  readonly end?: string | undefined;
  readonly ttlMs: number;
}

/** All that a writer has, from entry `from` on. */
export interface Restoration extends Omit<Write, 'count' | 'hash'> {
  readonly from: number;
  /** As of `open`. Absent: it begins now. */
  readonly ageMs?: number;
}

/** A channel and its writer. */
export interface Owned {
  readonly name: ChannelName;
  readonly owner: string;
}

/** Where channels are kept. All operations are atomic, and reject if the store cannot be reached or is out of memory. */
export interface ChannelLog {
  /**
   * Makes `owner` the only writer, and returns what is committed, with the entries from number `first` on. An absent channel is created,
   * empty. Undefined if the run was erased meanwhile.
   * @param ageMs how long ago the attempt, or its segment, began, in milliseconds. Absent: it begins now.
   */
  open(name: ChannelName, owner: string, ttlMs: number, first?: number, ageMs?: number): Promise<Held | undefined>;
  append(name: ChannelName, write: Write): Promise<Standing>;
  /**
   * Replaces what the store has, from entry `from` on, unless another writer has the channel, or the run was erased meanwhile: `taken`. It counts
   * as kept from then on: what the store has lost may include that a reader kept it. The generations before are void: `kept` if the store has
   * lost that, and a reader has kept one since.
   */
  restore(name: ChannelName, write: Restoration): Promise<'held' | 'taken' | 'kept'>;
  /**
   * Makes open channels of one run void, drops their entries, and creates those of the next generation, empty, with the
   * same writers. All of them or none: `kept` if one is kept, has ended or is lost.
   */
  startOver(channels: readonly Owned[], ttlMs: number): Promise<'void' | 'kept' | 'taken'>;
  /** Something was made of its entries: the channel cannot become void any more. `gone`: the store has lost it. */
  keep(name: ChannelName): Promise<'kept' | 'void' | 'gone'>;
  /** At most `most` entries from number `from` on; undefined if there is no channel. */
  read(name: ChannelName, from: number, most: number): Promise<Held | undefined>;
  /** A reader has no more need of entries below `number`. */
  passed(name: ChannelName, reader: string, number: number): Promise<void>;
  /** Number of the first entry that a reader other than `besides` still needs, as far as readers have said; undefined if none has. */
  needed(name: ChannelName, besides: string): Promise<number | undefined>;
  /** Calls `wake` when the channel may have changed; not every change is guaranteed to be noticed. Returns how to stop. */
  listen(name: ChannelName, wake: () => void): () => void;
}

/** The channel that takes the place of one that becomes void. */
export const nextGeneration = (name: ChannelName): ChannelName => ({ ...name, generation: (name.generation ?? 0) + 1 });

/** The void channels whose place one has taken, the first one first. */
export const generationsBefore = (name: ChannelName): readonly ChannelName[] =>
  Array.from({ length: name.generation ?? 0 }, (_, generation) => ({ ...name, generation }));

/** What a channel is called within its stage. */
export const calledWithin = ({ of, generation = 0 }: ChannelName): string =>
  generation === 0 ? of : `${of}~${generation}`;

/** The end of a void channel, as stored. */
export const VOID = JSON.stringify({ as: 'void' } satisfies ChannelEnd);

/** Hash of no entry: that of the channel's name, so that entries of another channel never fit. */
export const startHash = (name: ChannelName): string => digest(`${name.run}\n${name.path}\n${calledWithin(name)}`);

/** Hash of all entries up to and including `entry`. */
export const hashAfter = ({ before, text }: Entry): string => digest(`${before}\n${text}`);

/** 128 bits of SHA-256: entries are compared, not defended against forgery by who can write to the store. */
const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

/**
 * How long a closed channel is kept at least, in milliseconds: a client may have lost its network. A loop of the run may read it until the deadline,
 * and whoever opened it says how long that is.
 */
export const KEPT_CLOSED_MS = 3_600_000;

/** Most bytes of entries that a channel holds: 2 MiB are hours of sentences with references to their audio. */
export const MOST_BYTES = 2 * 1024 * 1024;
