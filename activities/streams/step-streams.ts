import { isStreamLost, MillraceError } from '../../pipelines/errors.js';
import { canonicalJson, type Json } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { stepOf } from '../../pipelines/run/channel-path.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type {
  ChannelCommit,
  ChannelRef,
  ChannelWait,
  Committed,
  EntryRef,
  FoundEntry,
  MoreEntries,
} from '../../pipelines/run/index.js';
import { linkedAbort } from '../../runtime/limited.js';
import { type Moment, momentAgo } from '../../runtime/moment.js';
import {
  type ChannelLog,
  type ChannelName,
  ChannelWriter,
  GONE_MS,
  keepChannel,
  readAhead,
  readChannel,
  readStream,
  streamLost,
} from '../../stores/channels/index.js';
import { atOnce } from './held-back.js';
import { entryValue, listedValue } from './listed-value.js';

/** Bytes of entries that one wait returns, beside the first: they enter the run's history. */
const MOST_BYTES = 256_000;

/** Longest wait for an entry, in milliseconds. The interpreter then asks again, and says whether the producer has ended meanwhile. */
const QUIET_MS = 60_000;

/** An entry with its value, as the interpreter of this process takes it. */
interface ReadPiece {
  readonly value: Json;
  readonly digest: string;
}

/** The streams of steps that the interpreter runs: what an `each` reads and writes. */
export class StepStreams {
  readonly #log: ChannelLog;
  readonly #run: string;
  readonly #signal: AbortSignal;
  readonly #begunAt: Moment;

  /**
   * @param signal aborts when the step ends
   * @param begunAt when the step, or its segment, began
   */
  constructor(log: ChannelLog, run: string, signal: AbortSignal, begunAt = momentAgo()) {
    this.#log = log;
    this.#run = run;
    this.#signal = signal;
    this.#begunAt = begunAt;
  }

  /**
   * The entries of a stream, as the list of them is when they are collected. Its producer cannot start over once the first one is read.
   * Throws `STREAM_LOST`, and the signal's reason.
   */
  async *read({ path, of, restarts }: ChannelRef, reader: string): AsyncGenerator<ReadPiece, void> {
    const name = { run: this.#run, path, of };
    const signal = this.#signal;
    let kept = restarts !== true;
    const entries = readStream(this.#log, name, { signal, reader, kept: () => kept, ...atOnce(of) });
    let read = 0;
    try {
      for (let next = await entries.next(); !next.done; next = await entries.next()) {
        const { value, generation, number } = next.value;
        read = generation;
        kept ||= await keepChannel(this.#log, { ...name, generation }, signal);
        if (!kept) continue;
        const listed = listedValue(of, value, number);
        if (listed !== undefined) yield { value: listed, digest: entryDigest(listed) };
      }
    } catch (error) {
      if (isStreamLost(error)) await this.#leave({ ...name, generation: read }, reader);
      throw error;
    } finally {
      await entries.return(undefined as never);
    }
  }

  /**
   * Waits for entries behind a position, for the end, or a minute, and returns where those stand that are there then. Of an `each` whose items
   * the workflow runs: their calls read the values. Keeps the stream as `read` does. Throws as `read`, and `STREAM_LOST` for a stream
   * whose producer has ended (`there`), but which has no end.
   * @param quietMs longest wait, in milliseconds
   */
  async wait(waitFor: ChannelWait['waitFor'], quietMs = waitFor.there ? GONE_MS : QUIET_MS): Promise<MoreEntries> {
    const at = { generation: waitFor.after.generation ?? 0 };
    try {
      return await this.#more(waitFor, quietMs, at);
    } catch (error) {
      const { channel, reader } = waitFor;
      const { path, of } = channel;
      const name = { run: this.#run, path, of, generation: at.generation };
      if (isStreamLost(error)) await this.#leave(name, reader);
      throw error;
    }
  }

  /** The list of entries is taken instead: the reader holds its producer back no longer. */
  #leave(name: ChannelName, reader: string): Promise<void> {
    return this.#log.passed(name, reader, Number.MAX_SAFE_INTEGER).catch(() => undefined);
  }

  async #more(
    { channel, reader, after, most, needed, there, values }: ChannelWait['waitFor'],
    quietMs: number,
    /** Where the reader is kept. */
    at: { generation: number },
  ): Promise<MoreEntries> {
    const { path, of, restarts } = channel;
    const name = { run: this.#run, path, of };
    const { own, release } = linkedAbort(this.#signal);
    const { signal } = own;
    const quiet = setTimeout(() => own.abort(), quietMs);
    // What items under way read is not trimmed, whatever other readers have passed.
    const keep = (generation: number) =>
      this.#log.passed({ ...name, generation }, reader, needed).catch(() => undefined);
    await keep(after.generation ?? 0);
    let silent = false;
    let kept = after.number > 0 || restarts !== true;
    let { number, hash, generation = 0 } = after;
    const found: FoundEntry[] = [];
    let bytes = 0;
    let ended = false;
    /** False if there is no more room for it. */
    const take = (entry: { readonly number: number; readonly value: Json; readonly hash: string }): boolean => {
      const value = listedValue(of, entry.value, entry.number);
      if (value !== undefined) {
        bytes += values ? Buffer.byteLength(JSON.stringify(value)) : 0;
        if (found.length > 0 && bytes > MOST_BYTES) return false;
        found.push({ number: entry.number, digest: entryDigest(value), ...(values && { value }) });
      }
      number = entry.number + 1;
      hash = entry.hash;
      return true;
    };
    const entries = readStream(this.#log, name, { signal, after, kept: () => kept, there: there === true });
    try {
      while (found.length === 0 && !ended) {
        const next = await entries.next();
        if (next.done) ended = true;
        else {
          generation = next.value.generation;
          at.generation = generation;
          kept ||= await keepChannel(this.#log, { ...name, generation }, signal);
          if (kept) take(next.value);
        }
      }
    } catch (error) {
      silent = signal.aborted && !this.#signal.aborted;
      if (!silent) throw error;
      // A producer ends after its stream, which has been lost, or was never there because the store was away.
      if (there) throw streamLost({ ...name, generation });
    } finally {
      clearTimeout(quiet);
      release();
      await entries.return(undefined as never);
    }
    // At first the channel may not have been there.
    if (after.number === 0) await keep(generation);
    if (!ended && !silent && hash !== undefined) {
      const ahead = await readAhead(this.#log, { ...name, generation }, { number, hash }, most - found.length);
      ended = ahead.entries.every(take) && ahead.end !== undefined;
    }
    const next = { number, ...(hash !== undefined && { hash }), ...(generation > 0 && { generation }) };
    return { entries: found, next, ...(ended && { ended }) };
  }

  /** The values of entries by their sources. Throws `STREAM_LOST` if one is not what it was, or is gone for 15 s. */
  async valuesOf(entries: Readonly<Record<string, EntryRef>>): Promise<ReadonlyMap<string, Json>> {
    const read = Object.entries(entries).map(async ([source, entry]) => [source, await this.#valueOf(entry)] as const);
    return new Map(await Promise.all(read));
  }

  async #valueOf({ path, of, generation = 0, number, digest }: EntryRef): Promise<Json> {
    const name = { run: this.#run, path, of, generation };
    const entries = readChannel(this.#log, name, { signal: this.#signal, after: { number }, there: true, most: 1 });
    try {
      const next = await entries.next();
      const value = next.done ? undefined : listedValue(of, next.value.value, number);
      if (value === undefined || entryDigest(value) !== digest) throw streamLost(name);
      return value;
    } finally {
      await entries.return(undefined as never);
    }
  }

  /** Opens the stream `entries` of a step. Throws `STREAM_LOST`. */
  async write(path: string, runMs: number): Promise<StepWriter> {
    return new StepWriter(path, await this.#open(path, runMs), 0);
  }

  /**
   * Commits values to the stream `entries` of a step whose items the workflow runs, from a number on. What is there already is compared, as
   * an attempt before may have committed it. Commits nothing if values before them are missing. Throws `STREAM_LOST` if the store loses
   * some of them meanwhile: the next attempt finds them missing.
   */
  async commit({ path, from, end, runMs }: ChannelCommit['commit'], values: readonly Json[]): Promise<Committed> {
    const writer = await this.#open(path, runMs, from);
    try {
      if (writer.count < from) return { count: writer.count };
      const own = new StepWriter(path, writer, from);
      await own.add(...values);
      if (end) await own.end();
      return { count: from + values.length };
    } finally {
      writer.close();
    }
  }

  /** @param first number of the first entry that is compared */
  #open(path: string, runMs: number, first = 0): Promise<ChannelWriter> {
    const options = { signal: this.#signal, ttlMs: channelTtlMs({ runMs }), first, begunAt: this.#begunAt };
    return ChannelWriter.open(this.#log, { run: this.#run, path, of: 'entries' }, options);
  }
}

/** Writes the entries of a step. What was written before is compared; what readers have all passed may be gone. */
class StepWriter {
  readonly #path: string;
  readonly #writer: ChannelWriter;
  /** Entries that were there, and the number of the first one that still is. */
  readonly #there: number;
  readonly #first: number;
  #count: number;

  /** @param from number of the first value that is added */
  constructor(path: string, writer: ChannelWriter, from: number) {
    this.#path = path;
    this.#writer = writer;
    this.#there = writer.count;
    this.#first = writer.count - writer.before.values.length;
    this.#count = from;
  }

  /** Resolves when the values are committed. Throws `STREAM_CUT` if another one is in the place of one of them. */
  async add(...values: readonly Json[]): Promise<void> {
    const { values: before, end } = this.#writer.before;
    const more: Json[] = [];
    for (const value of values) {
      const at = this.#count;
      this.#count += 1;
      const held = before[at - this.#first];
      if (at >= this.#there) more.push({ value });
      else if (held !== undefined && canonicalJson(entryValue(held)) !== canonicalJson(value)) throw cut(this.#path);
    }
    if (more.length === 0) return;
    if (end !== undefined) throw cut(this.#path);
    this.#writer.add(...more);
    await this.#writer.settled();
  }

  async end(): Promise<void> {
    if (this.#count < this.#there) throw cut(this.#path);
    await this.#writer.end({ as: 'done' });
  }

  close(): void {
    this.#writer.close();
  }
}

/** Tells values apart, as `digestOf` of the interpreter. */
const entryDigest = (value: Json): string => jsonHash(value).slice(0, 16);

const cut = (path: string): MillraceError =>
  new MillraceError('STREAM_CUT', `"${stepOf(path)}" ran again, and gave other values than those that have been read`);
