import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { channelOfCall } from '../../pipelines/run/channel-path.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { type Clock, REAL_CLOCK } from '../../runtime/clock.js';
import {
  type ChannelLog,
  ChannelWriter,
  keepChannel,
  readStream,
  type StreamPosition,
} from '../../stores/channels/index.js';
import { hasWord, nothingToSay } from '../connectors/speakable.js';
import type { Attempt } from '../stage/serving.js';
import { HeldBack } from './held-back.js';
import { entryValue } from './listed-value.js';
import { opened } from './opening.js';
import { RESTS_AFTER_MS, resting } from './resting.js';
import { BegunSentence, spokenSentence } from './speak-sentence.js';
import { mayDiffer, otherVoice, type SpokenChunk, voiceOf, wholeOf } from './spoken-chunk.js';
import { behind, piecesOf } from './spoken-text.js';

export interface SpeakingParts {
  readonly channels: ChannelLog;
  /** Joins pieces of a tenant's audio. */
  readonly join: (tenant: string, pieces: readonly [Artifact, ...Artifact[]], signal: AbortSignal) => Promise<Artifact>;
  /** A piece in the format of the first one. */
  readonly convert: (tenant: string, piece: Artifact, first: Artifact, signal: AbortSignal) => Promise<Artifact>;
  readonly clock?: Clock | undefined;
}

interface Served {
  readonly output: JsonObject;
  readonly endpoint: string;
  readonly device: string;
  readonly usage?: object | undefined;
}

/** A sentence to be spoken. */
interface Sentence {
  readonly text: string;
  /** Where the source goes on behind it. */
  readonly next: StreamPosition;
}

/** A sentence, and where it begins in the whole text, in UTF-16 units. */
interface Placed extends Sentence {
  readonly at: number;
}

/** What is to be spoken. */
interface Source {
  /** The sentences behind those that are spoken. `chunks` grows with what is. */
  sentences(chunks: readonly SpokenChunk[]): AsyncGenerator<Sentence>;
  /**
   * Keeps the stream before the first piece is committed; false if its producer has started over, and the piece is void.
   * Absent: it cannot start over.
   */
  readonly keep?: ((generation: number) => Promise<boolean>) | undefined;
  /** The rest is not read: it holds its producer back no longer. Absent: it has none. */
  readonly leave?: ((generation: number) => Promise<void>) | undefined;
}

type Serve<T> = (input: JsonObject, attempt: Attempt) => Promise<T>;
type OnChunk = (chunk: SpokenChunk, number: number) => void;

interface Speaking {
  readonly call: StageCall;
  readonly attempt: Attempt;
  /** What the stage is given, beside its text. */
  readonly input?: JsonObject;
}

/**
 * Runs a stage that speaks a stream of sentences, each as soon as it is there, by a call of its own: the device is free
 * in between. What is committed is not spoken again: a later attempt goes on with the next sentence. Limits, attempts
 * and patience of the policy apply to each sentence. A call of another voice than that of the first piece goes on if `onCut` is
 * `fallback`, its pieces in the format of the first one; else nothing more is spoken. Pieces without a word are passed over; if no piece
 * has one, the last that is not white space is spoken.
 *
 * @param onChunk called with each piece when it is committed, by its number; in a later attempt with the last one again
 */
export async function speakStream<T extends Served>(
  parts: SpeakingParts,
  { call, attempt, input, field }: Speaking & { readonly field: string },
  serve: Serve<T>,
  onChunk: OnChunk = () => undefined,
): Promise<T> {
  const { run, signal } = attempt;
  const { clock = REAL_CLOCK } = parts;
  const source = call.reads?.[field];
  if (!source) throw new MillraceError('INTERNAL', `the call of "${call.stage}" names no channel of "${field}"`);
  const { path, of, restarts = false } = source;
  const reader = call.path ?? call.stage;
  async function* sentences(chunks: readonly SpokenChunk[]): AsyncGenerator<Sentence> {
    const after = chunks.at(-1)?.next ?? { number: 0 };
    const kept = () => chunks.length > 0;
    const entries = readStream(parts.channels, { run, path, of }, { signal, after, reader, kept });
    try {
      for (;;) {
        const next = await resting(attempt, { clock, afterMs: RESTS_AFTER_MS }, () => entries.next());
        if (next.done) return;
        const { value, number, hash, generation } = next.value;
        // Entries of a function are read as a list is: with a space between them.
        const text = of === 'entries' ? `${number > 0 ? ' ' : ''}${String(entryValue(value))}` : String(value);
        yield { text, next: { number: number + 1, hash, ...(generation > 0 && { generation }) } };
      }
    } finally {
      await entries.return(undefined as never);
    }
  }
  const keep = (generation: number) => keepChannel(parts.channels, { run, path, of, generation }, signal);
  const leave = (generation: number) =>
    parts.channels.passed({ run, path, of, generation }, reader, Number.MAX_SAFE_INTEGER).catch(() => undefined);
  const begun = new BegunSentence(attempt);
  const one = (text: string) => begun.goOn((own) => spokenSentence(serve, { [field]: text }, call, own, clock));
  const about = { call, attempt, ...(input && { input }) };
  return await speak(parts, about, { sentences, keep: restarts ? keep : undefined, leave }, one, onChunk);
}

/**
 * Runs a stage that speaks a whole text whose audio is heard, or read, while it is made: sentence by sentence, as `speakStream`, in
 * the attempts and limits of the stage. Undefined for a text of a single sentence that nobody reads: there is nothing to hear before its
 * end; and for white space.
 */
export async function speakWhole<T extends Served>(
  parts: SpeakingParts,
  { field, text, ...about }: Speaking & { readonly field: string; readonly text: Json | undefined },
  serve: Serve<T>,
  onChunk: OnChunk = () => undefined,
): Promise<T | undefined> {
  const { call, attempt } = about;
  const whole = Array.isArray(text) ? text.join(' ') : String(text ?? '');
  const pieces = await piecesOf(whole, attempt.signal);
  const worded = pieces.filter(hasWord);
  const spoken = worded.length > 0 ? worded : pieces.filter((piece) => piece.trim() !== '').slice(-1);
  const texts = spoken.map((piece) => piece.trim());
  if (texts.length < (areRead(call) ? 1 : 2)) return undefined;
  async function* sentences(chunks: readonly SpokenChunk[]): AsyncGenerator<Sentence> {
    const first = chunks.at(-1)?.next.number ?? 0;
    const rest = first === 0 ? undefined : behind(whole, chunks);
    const left = rest === undefined ? pieces.slice(first) : await piecesOf(rest, attempt.signal);
    for (const [i, piece] of left.entries()) yield { text: piece, next: { number: first + i + 1, hash: '' } };
  }
  const found = new Map<string, T>();
  const begun = new BegunSentence(attempt);
  const one = async (text: string) => found.get(text) ?? (await begun.goOn((own) => serve({ [field]: text }, own())));
  // If only cached answers are allowed, nothing is heard unless all are there.
  if (call.cache?.only) for (const text of texts) found.set(text, await one(text));
  return await speak(parts, about, { sentences }, one, onChunk);
}

/** Whether something of the plan reads the pieces: the outcome has their list, and the voice waits for those who read them as a stream. */
const areRead = ({ writes }: StageCall): boolean => writes?.includes('pieces') ?? false;

async function speak<T extends Served>(
  { channels, join, convert, clock = REAL_CLOCK }: SpeakingParts,
  { call, attempt, input = {} }: Speaking,
  { sentences, keep, leave }: Source,
  serve: (text: string) => Promise<T>,
  onChunk: OnChunk,
): Promise<T> {
  const { run, signal, begunAt } = attempt;
  const path = channelOfCall(call);
  const name = { run, path, of: 'chunks' };
  const own = { signal, ttlMs: channelTtlMs(call), begunAt };
  const writer = await opened(attempt, (patient) => ChannelWriter.open(channels, name, { ...own, patient }));
  const read = areRead(call);
  // Another attempt needs all of them: readers that have passed some let none be trimmed.
  if (read) channels.passed(name, path, 0).catch(() => undefined);
  const held = new HeldBack({ log: channels, name, attempt, clock });
  try {
    const { values, end: over } = writer.before;
    if (over?.outcome !== undefined) return over.outcome as unknown as T;
    const chunks = values as unknown as SpokenChunk[];
    const last = chunks.at(-1);
    // Its worker may have died between the commit and the event.
    if (last) onChunk(last, chunks.length - 1);
    const whole = (pieces: readonly [SpokenChunk, ...SpokenChunk[]]) =>
      wholeOf(pieces, read, (audio) => join(call.tenant, audio, signal));
    const voice = voiceOf(call, input);
    const [begun] = chunks;
    const isOther = begun?.voice !== undefined && begun.voice !== voice && call.onCut !== 'fallback';
    let cut = false;
    let generation = last?.next.generation ?? 0;
    let started = generation;
    let served: T | undefined;
    for await (const { text, at, next } of toSpeak(sentences(chunks), chunks)) {
      generation = next.generation ?? 0;
      // The producer has started over: the rest of its text before is void as well.
      if (generation < started) continue;
      // What is spoken whole may be ended by another voice.
      if (isOther) {
        if (call.onCut !== 'end') throw otherVoice(call, chunks.length);
        cut = true;
        break;
      }
      if (read) await held.untilRead(chunks.length);
      served = await serve(text.trim());
      if (keep && chunks.length === 0 && !(await keep(generation))) {
        started = generation + 1;
        continue;
      }
      const { output, usage } = served;
      const made = { audio: output.audio as unknown as Artifact, voice };
      const [first] = chunks;
      const chunk: SpokenChunk = {
        ...made,
        ...(first && mayDiffer(made, first) && { audio: await convert(call.tenant, made.audio, first.audio, signal) }),
        text,
        at,
        next,
        ...(usage !== undefined && { usage: usage as unknown as Json }),
      };
      writer.add(chunk as unknown as Json);
      await writer.settled();
      chunks.push(chunk);
      onChunk(chunk, chunks.length - 1);
      attempt.passed?.();
    }
    const [first, ...others] = chunks;
    if (first === undefined) throw nothingToSay();
    const { output: _, usage: __, ...by } = served ?? (UNSERVED as unknown as T);
    const outcome = { ...by, ...(await whole([first, ...others])) } as unknown as T;
    await writer.end({ as: cut ? 'cut' : 'done', outcome: outcome as unknown as Json });
    if (cut) await leave?.(generation);
    return outcome;
  } finally {
    writer.close();
  }
}

/**
 * The sentences that are spoken, with where each begins in the text: those with a word. If there is none, and nothing is spoken yet, the last
 * one that is not white space, at the end.
 */
async function* toSpeak(sentences: AsyncIterable<Sentence>, spoken: readonly SpokenChunk[]): AsyncGenerator<Placed> {
  const last = spoken.at(-1);
  let at = last === undefined ? 0 : last.at + last.text.length;
  let generation = last?.next.generation ?? 0;
  let marks: Placed | undefined;
  for await (const sentence of sentences) {
    const { text, next } = sentence;
    if ((next.generation ?? 0) !== generation) {
      // Nothing was committed of the text before.
      generation = next.generation ?? 0;
      at = 0;
      marks = undefined;
    }
    if (hasWord(text)) yield { ...sentence, at };
    else if (text.trim() !== '') marks = { ...sentence, at };
    at += text.length;
  }
  if (marks && spoken.length === 0) yield marks;
}

/** Who has served a stage without a call of this attempt. */
const UNSERVED = { endpoint: '', device: '', cache: 'off' };
