import { setImmediate } from 'node:timers/promises';
import type { Artifact } from '../../pipelines/artifact.js';
import { isAway, MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { SentenceSplitter } from '../../pipelines/plan/sentences.js';
import { nextAttempt, UNTRIED } from '../../pipelines/retry.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { type Clock, REAL_CLOCK } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';
import {
  type ChannelLog,
  ChannelWriter,
  keepChannel,
  readStream,
  type StreamPosition,
} from '../../stores/channels/index.js';
import { nothingToSay } from '../connectors/speakable.js';
import type { Attempt } from '../stage/serving.js';
import { HeldBack } from './held-back.js';
import { entryValue, pieceOf } from './listed-value.js';
import { opened } from './opening.js';
import { RESTS_AFTER_MS, resting } from './resting.js';

/** A piece of a stage's audio: an entry of its channel `chunks`. */
export interface SpokenChunk {
  readonly audio: Artifact;
  /** What is spoken. */
  readonly text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  readonly at: number;
  /** Where the reader of the text goes on: number and hash of the entry behind it, and the generation of its channel. */
  readonly next: StreamPosition;
  /** What spoke it: a digest of kind, model and options. Absent: a worker of an earlier release made it. */
  readonly voice?: string;
  readonly usage?: Json;
}

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
}

/**
 * Runs a stage that speaks a stream of sentences, each as soon as it is there, by a call of its own: the device is free
 * in between. What is committed is not spoken again: a later attempt goes on with the next sentence. Limits, attempts
 * and patience of the policy apply to each sentence. A call of another voice than that of the first piece goes on if `onCut` is
 * `fallback`, its pieces in the format of the first one; else nothing more is spoken.
 *
 * @param onChunk called with each piece when it is committed, by its number; in a later attempt with the last one again
 */
export async function speakStream<T extends Served>(
  parts: SpeakingParts,
  { call, attempt, field }: Speaking & { readonly field: string },
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
  const one = (text: string) => begun.goOn((own) => spoken(serve, { [field]: text }, call, own, clock));
  return await speak(parts, { call, attempt }, { sentences, keep: restarts ? keep : undefined, leave }, one, onChunk);
}

/**
 * Runs a stage that speaks a whole text whose audio is heard, or read, while it is made: sentence by sentence, as `speakStream`, in
 * the attempts and limits of the stage. Undefined for a text of a single sentence that nobody reads: there is nothing to hear before its
 * end; and for one without words.
 */
export async function speakWhole<T extends Served>(
  parts: SpeakingParts,
  { call, attempt, field, text }: Speaking & { readonly field: string; readonly text: Json | undefined },
  serve: Serve<T>,
  onChunk: OnChunk = () => undefined,
): Promise<T | undefined> {
  const whole = Array.isArray(text) ? text.join(' ') : String(text ?? '');
  const pieces = await piecesOf(whole, attempt.signal);
  const texts = pieces.map((piece) => piece.trim()).filter((text) => text !== '');
  if (texts.length < (areRead(call) ? 1 : 2)) return undefined;
  async function* sentences(chunks: readonly SpokenChunk[]): AsyncGenerator<Sentence> {
    const first = chunks.at(-1)?.next.number ?? 0;
    const rest = first === 0 ? undefined : behind(whole, chunks.map(({ text }) => text).join(''));
    const left = rest === undefined ? pieces.slice(first) : await piecesOf(rest, attempt.signal);
    for (const [i, piece] of left.entries()) yield { text: piece, next: { number: first + i + 1, hash: '' } };
  }
  const found = new Map<string, T>();
  const begun = new BegunSentence(attempt);
  const one = async (text: string) => found.get(text) ?? (await begun.goOn((own) => serve({ [field]: text }, own())));
  // If only cached answers are allowed, nothing is heard unless all are there.
  if (call.cache?.only) for (const text of texts) found.set(text, await one(text));
  return await speak(parts, { call, attempt }, { sentences }, one, onChunk);
}

/** Characters that are divided into sentences at a time, some milliseconds: a worker has other calls meanwhile. */
const AT_ONCE = 16_384;

async function piecesOf(text: string, signal: AbortSignal): Promise<string[]> {
  const splitter = new SentenceSplitter();
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += AT_ONCE) {
    for (const piece of splitter.push(text.slice(at, at + AT_ONCE))) pieces.push(piece);
    if (at + AT_ONCE < text.length) await setImmediate();
    signal.throwIfAborted();
  }
  return [...pieces, ...splitter.end()];
}

/**
 * The rest of a text behind what is spoken of it, whose white space may differ: a stream that was lost had other pieces than the text
 * has sentences. Undefined if the text does not begin with it.
 */
function behind(whole: string, spoken: string): string | undefined {
  let at = 0;
  for (const character of spoken.replace(/\s+/gu, '')) {
    while (/\s/u.test(whole.charAt(at))) at += 1;
    if (!whole.startsWith(character, at)) return undefined;
    at += character.length;
  }
  return whole.slice(at);
}

/** Whether something of the plan reads the pieces: the outcome has their list, and the voice waits for those who read them as a stream. */
const areRead = ({ writes }: StageCall): boolean => writes?.includes('pieces') ?? false;

async function speak<T extends Served>(
  { channels, join, convert, clock = REAL_CLOCK }: SpeakingParts,
  { call, attempt }: Speaking,
  { sentences, keep, leave }: Source,
  serve: (text: string) => Promise<T>,
  onChunk: OnChunk,
): Promise<T> {
  const { run, signal } = attempt;
  const path = call.path ?? call.stage;
  const name = { run, path, of: 'chunks' };
  const ttlMs = channelTtlMs(call);
  const writer = await opened(attempt, (patient) => ChannelWriter.open(channels, name, { signal, ttlMs, patient }));
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
    const voice = voiceOf(call);
    const [begun] = chunks;
    const isOther = begun?.voice !== undefined && begun.voice !== voice && call.onCut !== 'fallback';
    let cut = false;
    let at = last === undefined ? 0 : last.at + last.text.length;
    let generation = last?.next.generation ?? 0;
    let started = generation;
    let served: T | undefined;
    for await (const { text, next } of sentences(chunks)) {
      if ((next.generation ?? 0) !== generation) {
        // Nothing was committed of the text before.
        generation = next.generation ?? 0;
        at = 0;
      }
      // The producer has started over: the rest of its text before is void as well.
      if (generation < started) continue;
      if (text.trim() !== '') {
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
          ...(first &&
            mayDiffer(made, first) && { audio: await convert(call.tenant, made.audio, first.audio, signal) }),
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
      at += text.length;
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

/** Who has served a stage without a call of this attempt. */
const UNSERVED = { endpoint: '', device: '', cache: 'off' };

/** The output and usage of a stage with these pieces, listed if they are read. */
async function wholeOf(
  pieces: readonly [SpokenChunk, ...SpokenChunk[]],
  read: boolean,
  join: (audio: readonly [Artifact, ...Artifact[]]) => Promise<Artifact>,
): Promise<Pick<Served, 'output' | 'usage'>> {
  const [first, ...others] = pieces;
  const audio = await join([first.audio, ...others.map((piece) => piece.audio)]);
  const usage = usageOf(pieces);
  const output = {
    audio: { ...audio } as unknown as JsonObject,
    ...(read && { chunks: pieces.map((piece, i) => pieceOf(piece as unknown as JsonObject, i)) }),
  };
  return { output, ...(usage && { usage }) };
}

/** Tells voices apart: two calls with the same kind, model and options have the same one. */
const voiceOf = ({ kind, model, with: options }: StageCall): string => jsonHash([kind, model, options]).slice(0, 16);

type Made = Pick<SpokenChunk, 'audio' | 'voice'>;

/** Whether a piece may have another format than the first one: another voice has made it, or its rate is known to be another. */
const mayDiffer = (piece: Made, first: Made): boolean =>
  piece.voice !== first.voice || piece.audio.sampleRate !== first.audio.sampleRate;

const otherVoice = ({ stage, model }: StageCall, spoken: number): MillraceError =>
  new MillraceError(
    'STREAM_CUT',
    `the audio broke off after ${spoken} sentences, and "${model}" has another voice; with onCut: 'fallback' it goes on`,
    { stage },
  );

/** What all pieces have used together; undefined if none says. */
function usageOf(chunks: readonly SpokenChunk[]): Record<string, number> | undefined {
  const sums: Record<string, number> = {};
  for (const { usage } of chunks) {
    for (const [unit, amount] of Object.entries(isJsonObject(usage) ? usage : {}))
      if (typeof amount === 'number') sums[unit] = (sums[unit] ?? 0) + amount;
  }
  return Object.keys(sums).length > 0 ? sums : undefined;
}

/**
 * Gives each try of a sentence the checkpoint of the one before, the first of all that of an earlier attempt. What a server has of a
 * sentence can be removed when the next one begins, since no attempt asks for it again: a long text would fill the server.
 */
class BegunSentence {
  readonly #attempt: Attempt;
  #checkpoint: Json;
  /** Removes what servers have of the sentence. */
  readonly #removals: (() => void)[] = [];

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.#checkpoint = attempt.resumeFrom;
  }

  /** Speaks a sentence, to whose checkpoint no other sentence goes on. */
  async goOn<T>(speaking: (own: () => Attempt) => Promise<T>): Promise<T> {
    // Another attempt does not go on from what is removed.
    if (this.#removals.length > 0) this.#attempt.checkpoint(null);
    for (const remove of this.#removals.splice(0)) remove();
    const checkpoint = (progress: Json) => {
      this.#checkpoint = progress;
      this.#attempt.checkpoint(progress);
    };
    const more = { checkpoint, ...(this.#attempt.whenKept && { whenKept: this.#whenKept }) };
    const spoken = await speaking(() => ({ ...this.#attempt, resumeFrom: this.#checkpoint, ...more }));
    this.#checkpoint = null;
    return spoken;
  }

  readonly #whenKept = (work: () => void): void => {
    let done = false;
    const once = () => {
      if (done) return;
      done = true;
      work();
    };
    this.#removals.push(once);
    // Of the last sentence.
    this.#attempt.whenKept?.(once);
  };
}

/** One sentence, with the attempts and within the limits of the policy. The failure of the last one is the stage's. */
async function spoken<T>(
  serve: (input: JsonObject, attempt: Attempt) => Promise<T>,
  input: JsonObject,
  call: StageCall,
  attemptNow: () => Attempt,
  clock: Clock,
): Promise<T> {
  let tried = UNTRIED;
  for (let calls = 0; ; ) {
    const attempt = attemptNow();
    const { own, release } = linkedAbort(attempt.signal);
    const { entryMs } = call;
    const late = new MillraceError('STAGE_TIMEOUT', `a sentence took longer than ${entryMs} ms`);
    const timer = entryMs === undefined ? undefined : clock.timer(entryMs, () => own.abort(late));
    try {
      return await serve(input, { ...attempt, signal: own.signal, attempt: calls + 1, tried, queueMs: 0 });
    } catch (error) {
      attempt.signal.throwIfAborted();
      const failure = own.signal.aborted ? late : error;
      if (!(failure instanceof MillraceError)) throw failure;
      const away = isAway(failure);
      if (!away) calls += 1;
      const next = nextAttempt(call.retry, call.patienceMs, failure, calls, tried, Math.random());
      tried = next.tried;
      const { delayMs } = next;
      if (delayMs === undefined) throw last(failure);
      const pause = () => clock.sleep(delayMs, attempt.signal);
      await (away ? resting(attempt, { clock, afterMs: 0 }, pause) : pause());
    } finally {
      timer?.clear();
      release();
    }
  }
}

/** The host must not try the whole stage again for it. */
function last({ code, message, details, cause }: MillraceError): MillraceError {
  const { unsent: _, ...rest } = details;
  return new MillraceError(code, message, { ...rest, final: true }, { cause });
}
