import { MillraceError } from '../../pipelines/errors.js';
import { canonicalJson, type Json } from '../../pipelines/json.js';
import type { ChannelRef } from '../../pipelines/run/index.js';
import { type ChannelLog, ChannelWriter, keepChannel, readStream } from '../../stores/channels/index.js';
import { channelTtlMs } from './channel-ttl.js';
import { entryValue } from './code-streams.js';

/** The streams of steps that run in this process itself: what an `each` reads and writes. */
export class StepStreams {
  readonly #log: ChannelLog;
  readonly #run: string;
  readonly #signal: AbortSignal;

  /** @param signal aborts when the step ends */
  constructor(log: ChannelLog, run: string, signal: AbortSignal) {
    this.#log = log;
    this.#run = run;
    this.#signal = signal;
  }

  /**
   * The entries of a stream, as the list of them is when they are collected. Its producer cannot start over once the first one is read.
   * Throws `STREAM_LOST`, and the signal's reason.
   */
  async *read({ path, of, restarts }: ChannelRef, reader: string): AsyncGenerator<Json, void> {
    const name = { run: this.#run, path, of };
    const signal = this.#signal;
    let kept = restarts !== true;
    const entries = readStream(this.#log, name, { signal, reader, kept: () => kept });
    try {
      for (let next = await entries.next(); !next.done; next = await entries.next()) {
        const { value, generation } = next.value;
        kept ||= await keepChannel(this.#log, { ...name, generation }, signal);
        if (!kept) continue;
        if (of === 'entries') yield entryValue(value);
        else if (of !== 'sentences') yield value;
        else if (String(value).trim() !== '') yield String(value).trim();
      }
    } finally {
      await entries.return(undefined as never);
    }
  }

  /** Opens the stream `entries` of a step. Throws `STREAM_LOST`. */
  async write(path: string, runMs: number): Promise<StepWriter> {
    const options = { signal: this.#signal, ttlMs: channelTtlMs({ runMs }) };
    return new StepWriter(path, await ChannelWriter.open(this.#log, { run: this.#run, path, of: 'entries' }, options));
  }
}

/** Writes the entries of a step. What was written before its process was lost is compared. */
class StepWriter {
  readonly #path: string;
  readonly #writer: ChannelWriter;
  #count = 0;

  constructor(path: string, writer: ChannelWriter) {
    this.#path = path;
    this.#writer = writer;
  }

  /** Resolves when the value is committed. Throws `STREAM_CUT` if another one is in its place. */
  async add(value: Json): Promise<void> {
    const before = this.#writer.before.values[this.#count];
    this.#count += 1;
    if (before !== undefined) {
      if (canonicalJson(entryValue(before)) !== canonicalJson(value)) throw cut(this.#path);
      return;
    }
    this.#writer.add({ value });
    await this.#writer.settled();
  }

  async end(): Promise<void> {
    if (this.#count < this.#writer.before.values.length) throw cut(this.#path);
    await this.#writer.end({ as: 'done' });
  }

  close(): void {
    this.#writer.close();
  }
}

const cut = (path: string): MillraceError =>
  new MillraceError('STREAM_CUT', `"${path}" ran again, and gave other values than those that have been read`);
