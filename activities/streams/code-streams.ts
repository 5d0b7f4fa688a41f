import { MillraceError } from '../../pipelines/errors.js';
import { canonicalJson, type Json } from '../../pipelines/json.js';
import { MOST_BYTES } from '../../pipelines/json-limits.js';
import type { ChannelRef, StageCall } from '../../pipelines/run/index.js';
import { type Clock, REAL_CLOCK, type Timer } from '../../runtime/clock.js';
import { hashAfter } from '../../stores/channels/channel.js';
import type { ChannelWriter, readStream, StreamPosition } from '../../stores/channels/index.js';
import type { HeldSlot } from '../stage/held-slot.js';
import { atOnce } from './held-back.js';
import { listedValue } from './listed-value.js';

/** An entry of a function's channel. */
interface CodeEntry {
  readonly value: Json;
  /**
   * What of the streams that the function reads had been read when it yielded the entry, by field: in a channel with the hash of what precedes
   * the next entry, in a list without. Absent: it reads none.
   */
  readonly read?: Readonly<Record<string, StreamPosition>>;
}

/** Another attempt has yielded something else than what is committed. */
export class Repeated extends Error {}

/** Values that are committed together at most: several with so many bytes, or a larger one. */
const MOST_AT_ONCE = 256;
const BYTES_AT_ONCE = 65_536;

/** What of an attempt matters here. */
interface OwnAttempt {
  readonly signal: AbortSignal;
  readonly slot?: Pick<HeldSlot, 'leave' | 'take'>;
  passed?(): void;
}

interface Channels {
  /** Reads a channel of the run. */
  readonly read: (channel: ChannelRef, options: Parameters<typeof readStream>[2]) => ReturnType<typeof readStream>;
  /** Keeps a channel that may become void; false if it is. */
  readonly keep: (channel: ChannelRef, generation: number, signal: AbortSignal) => Promise<boolean>;
  /** Absent: nobody reads what the function yields while it runs. */
  readonly writer?: ChannelWriter | undefined;
  readonly clock?: Clock | undefined;
  /** Called when the function takes longer for an entry that it has read than the policy allows. */
  readonly onLate: (error: MillraceError) => void;
}

/**
 * What one attempt of a function reads and yields entry by entry. Without channels its streams are lists, and what it
 * yields is kept until its end.
 */
export class CodeStreams {
  readonly #call: StageCall;
  readonly #attempt: OwnAttempt;
  readonly #channels: Channels | undefined;
  /** Committed entries that the store still has; it has dropped `#dropped` entries before them, whose hash is `#hashDropped`. */
  readonly #committed: readonly CodeEntry[];
  readonly #dropped: number;
  readonly #hashDropped: string | undefined;
  /** Hash of the dropped entries that the function has yielded again so far. */
  #hash: string;
  readonly #values: Json[];
  readonly #read: Record<string, StreamPosition> = {};
  #bytes: number;
  /** Entries that the function has yielded in this attempt, and those behind which it began. */
  #count = 0;
  #goesOn: boolean | undefined;
  #waiting = 0;
  #busy: Timer | undefined;

  constructor(call: StageCall, attempt: OwnAttempt, channels?: Channels) {
    this.#call = call;
    this.#attempt = attempt;
    this.#channels = channels;
    const { from = 0, start = '', hash, values = [] } = channels?.writer?.before ?? {};
    this.#committed = values as unknown as readonly CodeEntry[];
    this.#dropped = from;
    this.#hashDropped = hash;
    this.#hash = start;
    this.#values = from > 0 ? [] : this.#committed.map(({ value }) => value);
    this.#bytes = this.#values.reduce<number>((sum, value) => sum + bytesOf(value), 0);
    this.#work();
  }

  /** Whether a field is read from a channel; otherwise the input has it as a list. */
  reads(field: string): boolean {
    return this.#channels !== undefined && Object.hasOwn(this.#call.reads ?? {}, field);
  }

  /**
   * The committed entries, after which a function that asks continues. Undefined if there are none, if the function has started again, or if
   * the store has dropped entries that all readers have passed: they are part of the result, so the function yields them again.
   */
  resumeFrom(): { readonly count: number; readonly last: Json } | undefined {
    if (this.#dropped > 0) return undefined;
    const last = this.#committed.at(-1);
    this.#goesOn ??= this.#mayGoOn();
    if (last === undefined || !this.#goesOn) return undefined;
    this.#count = Math.max(this.#count, this.#committed.length);
    return { count: this.#committed.length, last: last.value };
  }

  /** The entries of a field; those of the list if there is one. Can be read once. */
  async *source(
    field: string,
    list: readonly Json[] | undefined,
    entryOf: (value: Json) => Promise<Json>,
  ): AsyncGenerator<Json> {
    this.#goesOn ??= false;
    const from = this.#goesOn ? this.#committed.at(-1)?.read?.[field] : undefined;
    if (list !== undefined) {
      for (let i = from?.number ?? 0; i < list.length; i++) {
        this.#read[field] = { number: i + 1 };
        yield list[i] as Json;
      }
      return;
    }
    const { signal, slot } = this.#attempt;
    const { path = this.#call.stage, reads = {} } = this.#call;
    const ref = reads[field];
    if (!this.#channels || !ref) return;
    // An earlier attempt has kept what it has read.
    let kept = from !== undefined || ref.restarts !== true;
    const options = { signal, after: from ?? { number: 0 }, reader: path, kept: () => kept, ...atOnce(ref.of) };
    const entries = this.#channels.read(ref, options);
    try {
      for (;;) {
        this.#rest();
        slot?.leave();
        const next = await entries.next().finally(() => slot?.take(signal));
        this.#work();
        if (next.done) return;
        const { value, number, hash, generation } = next.value;
        // The function cannot give back what it gets.
        kept ||= await this.#channels.keep(ref, generation, signal);
        if (!kept) continue;
        this.#read[field] = { number: number + 1, hash, ...(generation > 0 && { generation }) };
        const listed = listedValue(ref.of, value, number);
        if (listed !== undefined) yield await entryOf(listed);
      }
    } finally {
      await entries.return(undefined as never);
    }
  }

  /** Resolves when an entry is committed. Throws what ends the stream, and `RESULT_TOO_LARGE`. */
  async add(value: Json): Promise<void> {
    this.#goesOn ??= false;
    const entry: CodeEntry = { value, ...(Object.keys(this.#read).length > 0 && { read: { ...this.#read } }) };
    if (this.#again(entry)) return;
    this.#bytes += bytesOf(value);
    if (this.#bytes > MOST_BYTES) throw tooMuch(this.#call.stage);
    this.#count += 1;
    this.#values.push(value);
    const writer = this.#channels?.writer;
    if (!writer) return;
    writer.add(entry as unknown as Json);
    const { slot, signal, passed } = this.#attempt;
    this.#rest();
    try {
      // A reader that lags may need the slot; while the store is away none does.
      await writer.settled(() => void slot?.leave());
    } finally {
      await slot?.take(signal);
    }
    this.#work();
    passed?.();
  }

  /** Adds values that are all there: those that are not committed yet are, many at once. Throws as `add`. */
  async addAll(values: readonly Json[]): Promise<void> {
    let more: Promise<void>[] = [];
    let bytes = 0;
    for (const value of values) {
      // What is committed is compared one by one: nothing behind a difference counts.
      if (this.#count < this.#dropped + this.#committed.length) {
        await this.add(value);
        continue;
      }
      more.push(this.add(value));
      bytes += bytesOf(value);
      if (more.length < MOST_AT_ONCE && bytes < BYTES_AT_ONCE) continue;
      await Promise.all(more);
      more = [];
      bytes = 0;
    }
    await Promise.all(more);
  }

  /** Whether an entry is committed already. Throws `Repeated` if another one is in its place. */
  #again(entry: CodeEntry): boolean {
    const at = this.#count - this.#dropped;
    const before = this.#committed[at];
    if (at >= 0 && before === undefined) return false;
    if (before !== undefined && canonicalJson(before.value) !== canonicalJson(entry.value)) throw new Repeated();
    if (at < 0) {
      this.#hash = hashAfter({ before: this.#hash, text: JSON.stringify(entry) });
      if (at === -1 && this.#hash !== this.#hashDropped) throw new Repeated();
    }
    if (this.#dropped > 0) {
      this.#values.push(entry.value);
      this.#bytes += bytesOf(entry.value);
    }
    this.#count += 1;
    return true;
  }

  /** The function has ended; returns all entries. Throws `Repeated` if it has yielded less than what is committed. */
  finish(): readonly Json[] {
    this.close();
    if (this.#count < this.#dropped + this.#committed.length) throw new Repeated();
    return this.#values;
  }

  /** Entries that the function has yielded in this attempt, with those behind which it began. */
  get count(): number {
    return this.#count;
  }

  /** How often the producer of a field had started over when the function last read it. */
  generationOf(field: string): number {
    return this.#read[field]?.generation ?? 0;
  }

  /** The committed entries that the store still has; `dropped` others came before them. */
  get committed(): readonly Json[] {
    return this.#committed.map(({ value }) => value);
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** No limit applies any more. */
  close(): void {
    this.#waiting = Number.POSITIVE_INFINITY;
    this.#busy?.clear();
  }

  /** A position in a channel says nothing of a list, nor the other way round. */
  #mayGoOn(): boolean {
    const positions = Object.entries(this.#committed.at(-1)?.read ?? {});
    return positions.every(([field, { hash }]) => this.reads(field) === (hash !== undefined));
  }

  /** The function works: the limit of an entry runs. */
  #work(): void {
    if (this.#waiting > 0) this.#waiting -= 1;
    const { stage, entryMs } = this.#call;
    const { clock = REAL_CLOCK, onLate } = this.#channels ?? {};
    if (this.#waiting > 0 || entryMs === undefined || onLate === undefined) return;
    const late = new MillraceError('STAGE_TIMEOUT', `stage "${stage}": an entry took longer than ${entryMs} ms`, {
      stage,
    });
    this.#busy?.clear();
    this.#busy = clock.timer(entryMs, () => onLate(late));
  }

  /** It waits for another stage. */
  #rest(): void {
    this.#waiting += 1;
    this.#busy?.clear();
  }
}

const bytesOf = (value: Json): number => Buffer.byteLength(JSON.stringify(value)) + 1;

const tooMuch = (stage: string): MillraceError => {
  const message = `what stage "${stage}" yields takes more than ${MOST_BYTES} bytes together; yield less, or media by reference`;
  return new MillraceError('RESULT_TOO_LARGE', message, { stage });
};
