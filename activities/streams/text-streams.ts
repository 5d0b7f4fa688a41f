import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { beforeTurn } from '../../pipelines/plan/index.js';
import { channelOfCall } from '../../pipelines/run/channel-path.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type { StageCall } from '../../pipelines/run/index.js';
import type { Clock } from '../../runtime/clock.js';
import { type ChannelEnd, type ChannelLog, ChannelWriter, streamLost } from '../../stores/channels/index.js';
import { type Opening, opened } from './opening.js';
import { SentenceSink, type TextSink, TokenSink } from './text-sinks.js';

interface Options {
  readonly clock: Clock;
  /** Aborts when the attempt ends. */
  readonly signal: AbortSignal;
  /** Called when more of the text is passed on. */
  readonly onEntry?: (() => void) | undefined;
  /** Called when the channels take no more. */
  readonly fail: (error: unknown) => void;
  readonly opens: Opening;
}

type Opened = readonly [of: string, writer: ChannelWriter];

interface Stream {
  readonly of: string;
  readonly writer: ChannelWriter;
  readonly sink: TextSink;
  /** What earlier attempts have committed; of a turn, without what the turns before have. */
  readonly text: string;
  /** What precedes the next text: of a turn's first word, the space between it and the turn before. */
  space: string;
}

/**
 * The channels that one attempt of a stage writes its text to, each divided in its own way. Those of an agent hold the texts of its turns, of
 * which a call writes one.
 */
export class TextStreams {
  readonly #options: Options;
  readonly #turn: StageCall['turn'];
  readonly #streams: readonly Stream[];
  /** White space at the end of a turn's text: it is passed on with the next word, and not if there is none. */
  #trailing = '';

  private constructor(options: Options, writers: readonly Opened[], turn?: StageCall['turn']) {
    this.#options = options;
    this.#turn = turn;
    this.#streams = writers.map(([of, writer]) => this.#stream(of, writer));
  }

  /**
   * Opens those of the call, where earlier attempts have started over those of the last generation. Of a turn, what the store has lost of the
   * turns before is stored again. Throws `STREAM_LOST`, also if a channel holds something else than what the turns before have said;
   * `STREAM_CUT` if the store has dropped the beginning of the text after its readers had passed it: no attempt can continue without it.
   */
  static async open(log: ChannelLog, run: string, call: StageCall, options: Options): Promise<TextStreams> {
    const { writes = [], turn } = call;
    const path = channelOfCall(call);
    const own = { signal: options.signal, ttlMs: channelTtlMs(call), begunAt: options.opens.begunAt };
    for (let generation = 0; ; generation += 1) {
      const writers = await opened(options.opens, (patient) =>
        allOpen(
          writes.map(async (of) => {
            const writer = await ChannelWriter.open(log, { run, path, of, generation }, { ...own, patient });
            return [of, writer] as const;
          }),
        ),
      );
      if (!writers.some(([, { before }]) => before.end?.as === 'void')) {
        if (turn === undefined && writers.some(([, { before }]) => before.from > 0 && before.end === undefined)) {
          for (const [, writer] of writers) writer.close();
          throw beginningGone(call);
        }
        const other = turn && writers.find(([, writer]) => !follows(turn.said, writer));
        if (other === undefined) return new TextStreams(options, writers, turn);
        for (const [, writer] of writers) writer.close();
        throw streamLost({ run, path, of: other[0] });
      }
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
    if (this.#turn && text.trim() === '') {
      // A model may write white space without end: it is looked through once, with the next word.
      this.#trailing += text;
      return;
    }
    const all = `${this.#trailing}${text}`;
    const words = this.#words(all);
    this.#trailing = all.slice(words.length);
    for (const stream of this.#streams) this.#add(stream, words);
  }

  /** Adds to those that have not ended what they lack of a text. */
  complete(whole: string): void {
    for (const stream of this.#streams)
      if (stream.writer.before.end === undefined) this.#add(stream, this.#words(whole).slice(stream.text.length));
  }

  /** The turn has ended, and another one follows: all of its text is committed, and the channels stay open. */
  async endTurn(): Promise<void> {
    for (const { sink, writer } of this.#streams) writer.add(...sink.end());
    await Promise.all(this.#streams.map(({ writer }) => writer.settled()));
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

  #stream(of: string, writer: ChannelWriter): Stream {
    const sink = this.#sink(of, writer);
    const whole = writer.before.values.join('');
    if (!this.#turn) return { of, writer, sink, text: whole, space: '' };
    const { said } = this.#turn;
    if (whole.length < said.length && writer.before.end === undefined) {
      const again = this.#sink(of, writer);
      again.push(said.slice(whole.length));
      writer.add(...again.end());
    }
    const before = beforeTurn(said);
    const text = whole.slice(before.length);
    return { of, writer, sink, text, space: text === '' ? before.slice(said.length) : '' };
  }

  #add(stream: Stream, text: string): void {
    if (text === '') return;
    stream.sink.push(`${stream.space}${text}`);
    stream.space = '';
  }

  /** A text as it is passed on now: of a turn without the white space at its end. */
  #words(text: string): string {
    return this.#turn ? text.trimEnd() : text;
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

const beginningGone = ({ stage }: StageCall): MillraceError =>
  new MillraceError(
    'STREAM_CUT',
    'the answer broke off and cannot be continued: it is so long that the state store has dropped its beginning',
    { stage },
  );

/** Whether what a channel holds, and what the turns before have said, have the same beginning. */
function follows(said: string, { before }: ChannelWriter): boolean {
  const whole = before.values.join('');
  return whole.startsWith(said) || said.startsWith(whole);
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
