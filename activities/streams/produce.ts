import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { type Clock, REAL_CLOCK } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';
import { type ChannelEnd, type ChannelLog, ChannelWriter } from '../../stores/channels/index.js';
import { channelTtlMs } from './channel-ttl.js';
import { Diverged, StreamedText } from './streamed-text.js';
import { SentenceSink, type TextSink, TokenSink } from './text-sinks.js';

export interface ProducingParts {
  readonly channels: ChannelLog;
  readonly clock?: Clock | undefined;
}

/** What an attempt of a producer gets. */
export interface Producing {
  readonly signal: AbortSignal;
  /** Called with each part of the attempt's own text. */
  onText(delta: string): void;
  /** The beginning that readers have; empty for a first attempt. */
  readonly committed: string;
  /** The attempt continues the beginning: it does not repeat it. */
  continues(): void;
}

interface Output {
  readonly output: JsonObject;
}

interface About {
  readonly run: string;
  readonly call: StageCall;
  readonly signal: AbortSignal;
  /** Receives the answer's text as readers get it. */
  readonly onDelta: (text: string) => void;
  /** Called when more of it is passed on. */
  readonly onEntry?: (() => void) | undefined;
}

/**
 * Runs an attempt whose text other stages read while it is made. What an earlier attempt has committed is not made, and
 * not read, again: an attempt that finds a finished stream returns its outcome, any other goes on behind it. Throws
 * `STREAM_CUT` if it cannot, unless the call says that the stream then ends.
 */
export async function produceText<T extends Output>(
  { channels, clock = REAL_CLOCK }: ProducingParts,
  { run, call, signal, onDelta, onEntry }: About,
  serve: (producing: Producing) => Promise<T>,
): Promise<T> {
  const path = call.path ?? call.stage;
  const options = { signal, ttlMs: channelTtlMs(call) };
  const writers = await allOpen(
    (call.writes ?? []).map((of) => ChannelWriter.open(channels, { run, path, of }, options)),
  );
  const { own, release } = linkedAbort(signal);
  const fail = (error: unknown) => own.abort(error);
  let sinks: readonly TextSink[] = [];
  try {
    const over = writers.find(({ before }) => before.end !== undefined)?.before.end;
    const texts = writers.map(({ before }) => before.values.join(''));
    const committed = texts.reduce((longest, text) => (text.length > longest.length ? text : longest), '');
    sinks = writers.map((writer, i): TextSink => {
      const add = (...entries: string[]) => {
        try {
          writer.add(...entries);
          onEntry?.();
        } catch (error) {
          fail(error);
        }
      };
      const sink = SENTENCES.has(call.writes?.[i] ?? '') ? new SentenceSink(clock, add) : new TokenSink(clock, add);
      // The stream of another writer may be behind.
      if (over === undefined) sink.push(committed.slice(texts[i]?.length ?? 0));
      return sink;
    });
    const end = async (as: ChannelEnd['as'], outcome: T) => {
      const ends = sinks.map((sink) => sink.end());
      await Promise.all(
        writers.map((writer, i) => writer.end({ as, outcome: outcome as unknown as Json }, ...(ends[i] as Json[]))),
      );
      return outcome;
    };
    if (over?.outcome !== undefined) {
      const outcome = over.outcome as unknown as T;
      for (const [i, sink] of sinks.entries())
        if (writers[i]?.before.end === undefined) sink.push(textOf(outcome).slice(texts[i]?.length ?? 0));
      return await end(over.as, outcome);
    }
    if (committed !== '') onDelta(committed);
    const text = new StreamedText(committed, (more) => {
      onDelta(more);
      for (const sink of sinks) sink.push(more);
    });
    const atOnce = !isWhole(call);
    let pushed = 0;
    try {
      const served = await serve({
        signal: own.signal,
        committed,
        continues: () => text.continues(),
        onText(delta) {
          if (!atOnce || own.signal.aborted) return;
          pushed += delta.length;
          try {
            text.push(delta);
          } catch (error) {
            fail(error);
          }
        },
      });
      own.signal.throwIfAborted();
      text.end(textOf(served), pushed);
      return await end('done', { ...served, output: { ...served.output, text: text.text } });
    } catch (error) {
      const why = own.signal.aborted && !signal.aborted ? own.signal.reason : error;
      if (!(why instanceof Diverged)) throw why;
      if (call.onCut !== 'end') throw cut(call, committed);
      // Readers keep what they have; the sinks hold no more of it.
      return await end('cut', cutOutcome<T>(committed));
    }
  } finally {
    release();
    // What has no boundary yet belongs to no entry: the next attempt decides.
    for (const sink of sinks) sink.end();
    for (const writer of writers) writer.close();
  }
}

/** Of writers of which one cannot be opened, the others are closed: they would go on to look after their channels. */
async function allOpen(opening: readonly Promise<ChannelWriter>[]): Promise<ChannelWriter[]> {
  const opened = await Promise.allSettled(opening);
  const failed = opened.find((each) => each.status === 'rejected');
  const writers = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (failed === undefined) return writers;
  for (const writer of writers) writer.close();
  throw failed.reason;
}

const SENTENCES: ReadonlySet<string> = new Set(['sentences']);

const textOf = ({ output }: Output): string => (typeof output.text === 'string' ? output.text : '');

/** Whether nothing may be passed on before the answer is whole: it may be tool calls, or must fit a schema. */
function isWhole({ with: options }: StageCall): boolean {
  return options.schema !== undefined || (Array.isArray(options.tools) && options.tools.length > 0);
}

const cutOutcome = <T extends Output>(text: string): T =>
  ({ output: { text, finish: 'stop' }, endpoint: '', device: '', cache: 'off' }) as unknown as T;

const cut = (call: StageCall, committed: string): MillraceError =>
  new MillraceError(
    'STREAM_CUT',
    `the answer broke off after ${committed.length} characters that have been read, and another attempt gave another answer`,
    { stage: call.stage },
  );
