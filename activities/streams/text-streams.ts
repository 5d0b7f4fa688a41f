import type { Json } from '../../pipelines/json.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { Clock } from '../../runtime/clock.js';
import { type ChannelEnd, type ChannelLog, ChannelWriter } from '../../stores/channels/index.js';
import { channelTtlMs } from './channel-ttl.js';
import { SentenceSink, type TextSink, TokenSink } from './text-sinks.js';

interface Options {
  readonly clock: Clock;
  /** Aborts when the attempt ends. */
  readonly signal: AbortSignal;
  /** Called when more of the text is passed on. */
  readonly onEntry?: (() => void) | undefined;
  /** Called when the channels take no more. */
  readonly fail: (error: unknown) => void;
}

type Opened = readonly [of: string, writer: ChannelWriter];

interface Stream {
  readonly of: string;
  readonly writer: ChannelWriter;
  readonly sink: TextSink;
  /** What earlier attempts have committed. */
  readonly text: string;
}

/** The channels that one attempt of a stage writes its text to, each divided in its own way. */
export class TextStreams {
  readonly #options: Options;
  readonly #streams: readonly Stream[];

  private constructor(options: Options, writers: readonly Opened[]) {
    this.#options = options;
    this.#streams = writers.map(([of, writer]) => ({
      ...{ of, writer, sink: this.#sink(of, writer) },
      text: writer.before.values.join(''),
    }));
  }

  /** Opens those of the call, where earlier attempts have started over those of the last generation. Throws `STREAM_LOST`. */
  static async open(log: ChannelLog, run: string, call: StageCall, options: Options): Promise<TextStreams> {
    const { path = call.stage, writes = [] } = call;
    const own = { signal: options.signal, ttlMs: channelTtlMs(call) };
    for (let generation = 0; ; generation += 1) {
      const writers = await allOpen(
        writes.map(async (of) => [of, await ChannelWriter.open(log, { run, path, of, generation }, own)] as const),
      );
      if (!writers.some(([, { before }]) => before.end?.as === 'void')) return new TextStreams(options, writers);
      for (const [, writer] of writers) writer.close();
    }
  }

  /** The longest text that one of them has: that of another may be behind. */
  get committed(): string {
    return this.#streams.reduce((longest, { text }) => (text.length > longest.length ? text : longest), '');
  }

  /** The end of one of them. */
  get over(): ChannelEnd | undefined {
    return this.#streams.find(({ writer }) => writer.before.end !== undefined)?.writer.before.end;
  }

  push(text: string): void {
    for (const { sink } of this.#streams) sink.push(text);
  }

  /** Adds to those that have not ended what they lack of a text. */
  complete(whole: string): void {
    for (const { sink, writer, text } of this.#streams)
      if (writer.before.end === undefined) sink.push(whole.slice(text.length));
  }

  async end(as: ChannelEnd['as'], outcome: Json): Promise<void> {
    const ends = this.#streams.map(({ writer, sink }) => [writer, sink.end()] as const);
    await Promise.all(ends.map(([writer, entries]) => writer.end({ as, outcome }, ...entries)));
  }

  /** Those that take their place, empty, if nothing was made of what they hold; undefined otherwise. */
  async startOver(): Promise<TextStreams | undefined> {
    for (const { sink } of this.#streams) sink.end();
    const writers = await ChannelWriter.startOver(this.#streams.map(({ writer }) => writer));
    return (
      writers &&
      new TextStreams(
        this.#options,
        writers.map((writer, i) => [this.#streams[i]?.of ?? '', writer]),
      )
    );
  }

  /** Nothing more is added. What has no boundary yet belongs to no entry: the next attempt decides. */
  close(): void {
    for (const { sink, writer } of this.#streams) {
      sink.end();
      writer.close();
    }
  }

  #sink(of: string, writer: ChannelWriter): TextSink {
    const { clock, onEntry, fail } = this.#options;
    const add = (...entries: string[]) => {
      try {
        writer.add(...entries);
        onEntry?.();
      } catch (error) {
        fail(error);
      }
    };
    return of === 'sentences' ? new SentenceSink(clock, add) : new TokenSink(clock, add);
  }
}

/** Of writers of which one cannot be opened, the others are closed: they would go on to look after their channels. */
async function allOpen(opening: readonly Promise<Opened>[]): Promise<readonly Opened[]> {
  const opened = await Promise.allSettled(opening);
  const failed = opened.find((each) => each.status === 'rejected');
  const writers = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (failed === undefined) return writers;
  for (const [, writer] of writers) writer.close();
  throw failed.reason;
}
