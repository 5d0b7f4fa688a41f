import type { Json } from '../../pipelines/json.js';
import { bytesOf } from '../../pipelines/json-limits.js';
import type {
  ChannelCommit,
  ChannelPosition,
  ChannelRef,
  ChannelWait,
  Committed,
  MoreEntries,
} from '../../pipelines/run/index.js';
import type { Piece, PieceReader, PieceWriter, Reading, Writing } from './host.js';
import { isLost } from './streams.js';

/** Entries that are asked for at once. Places are small; of entries that the interpreter computes with, the worker limits the bytes. */
const MOST_ENTRIES = 256;

/** Of pieces of audio that are being made: what is asked for next says how far the items are, and a voice waits for those that lag. */
const MOST_PIECES = 8;

/** Values that are committed at once: several of them, or one that is larger. */
const MOST_BATCH_BYTES = 256_000;

/** How often in a row a store may lose what was committed before nothing more is passed on. */
const MOST_LOSSES = 5;

/** Calls that wait for entries of one channel. */
interface EntryWaits {
  /** Undefined after `cancel`. */
  next(what: ChannelWait['waitFor']): Promise<MoreEntries | undefined>;
  cancel(): void;
}

/** Entries of a channel that workers read: the interpreter has their places, and no values unless it computes with them. */
export class ChannelPieces implements PieceReader {
  readonly #channel: ChannelRef;
  readonly #by: Reading;
  readonly #waits: EntryWaits;
  readonly #ready: Piece[] = [];
  /** Number of the entry of each piece, by the piece's index: sentences without words are no pieces. */
  readonly #numbers: number[] = [];
  #next: ChannelPosition = { number: 0 };
  #ended = false;
  #closed = false;

  constructor(channel: ChannelRef, by: Reading, waits: EntryWaits) {
    this.#channel = channel;
    this.#by = by;
    this.#waits = waits;
  }

  async next(): Promise<Piece | undefined> {
    while (this.#ready.length === 0 && !this.#ended && !this.#closed) await this.#wait();
    return this.#closed ? undefined : this.#ready.shift();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waits.cancel();
  }

  async #wait(): Promise<void> {
    const { path, values, needed, over } = this.#by;
    const more = await this.#waits.next({
      channel: this.#channel,
      reader: path,
      after: this.#next,
      most: this.#channel.of === 'chunks' && !over() ? MOST_PIECES : MOST_ENTRIES,
      needed: this.#numbers[needed()] ?? this.#next.number,
      ...(over() && { there: true }),
      ...(values && { values: true }),
    });
    if (!more) return;
    const { path: producer, of } = this.#channel;
    const { entries, next, ended } = more;
    const { generation } = next;
    for (const { number, digest, value } of entries) {
      this.#numbers.push(number);
      const entry = { path: producer, of, number, digest, ...(generation !== undefined && { generation }) };
      this.#ready.push({ digest, ...(value === undefined ? { entry } : { value }) });
    }
    this.#next = next;
    this.#ended = ended === true;
  }
}

/** Commits values, of the step at a path. Rejects with a `StageError`. */
type CommitValues = (what: ChannelCommit['commit'], values: readonly Json[]) => Promise<Committed>;

/** Passes values on in order, and again from where the store has lost them: the interpreter has all. */
export class ChannelValues implements PieceWriter {
  readonly #path: string;
  readonly #by: Writing;
  readonly #commit: CommitValues;
  readonly #values: Json[] = [];
  #sent = 0;
  #losses = 0;
  /** The store has been away: the rest is tried once more at the end. */
  #away = false;

  constructor(path: string, by: Writing, commit: CommitValues) {
    this.#path = path;
    this.#by = by;
    this.#commit = commit;
  }

  async add(...values: readonly Json[]): Promise<void> {
    this.#values.push(...values);
    if (!this.#away) await this.#send(false);
  }

  async end(): Promise<void> {
    this.#away = false;
    await this.#send(true);
  }

  close(): void {
    // Nothing is open: each commit ends by itself.
  }

  async #send(end: boolean): Promise<void> {
    let ended = !end;
    // If the store stays away, readers get the list.
    while (!this.#away && (this.#sent < this.#values.length || !ended)) {
      const from = this.#sent;
      const values = this.#batch();
      const last = end && from + values.length === this.#values.length;
      try {
        const what = { path: this.#path, from, runMs: this.#by.runMs, ...(last && { end: last }) };
        const { count } = await this.#commit(what, values);
        this.#losses = count < from ? this.#losses + 1 : 0;
        this.#sent = count;
        this.#away = this.#losses > MOST_LOSSES;
        ended ||= last && count === this.#values.length;
      } catch (error) {
        if (!isLost(error)) throw error;
        this.#away = true;
      }
    }
  }

  #batch(): readonly Json[] {
    let bytes = 0;
    let to = this.#sent;
    while (to < this.#values.length) {
      bytes += bytesOf(this.#values[to] as Json);
      if (to > this.#sent && bytes > MOST_BATCH_BYTES) break;
      to += 1;
    }
    return this.#values.slice(this.#sent, to);
  }
}
