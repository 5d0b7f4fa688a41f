import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt } from '../../../activities/stage/stage-runner.js';
import { CodeStreams } from '../../../activities/streams/code-streams.js';
import {
  passOnPieces,
  produceEntries,
  produceText,
  StepStreams,
  speakStream,
} from '../../../activities/streams/index.js';
import type { Producing } from '../../../activities/streams/produce.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { jsonHash } from '../../../pipelines/plan/hash.js';
import type { ChannelRef, ChannelWait, StageCall, StageOutcome } from '../../../pipelines/run/index.js';
import type { ChannelLog } from '../../../stores/channels/index.js';

/** What a scripted stage does; it stands in the stage's options. */
export type Script = {
  /** Its output is a pure function of this and its input. */
  readonly salt: number;
  /** Calls that fail before one succeeds, and with which code. */
  readonly failures?: number;
  readonly code?: ErrorCode;
  /** How long a call takes, in milliseconds. */
  readonly ms?: number;
  /** A call lasts until it is cancelled. */
  readonly never?: true;
  /** How many characters of its answer, or entries, a call that fails has given before. */
  readonly breaksAt?: number;
  /** Of an LLM: it continues what is given to it, instead of giving the whole answer again. Of a function: it asks for `resumeFrom`. */
  readonly continues?: true;
  /** Of an LLM that may start over: a call that fails says something else than the one that succeeds. */
  readonly other?: true;
  /** Of a function: it yields its items one by one. */
  readonly yields?: true;
  /** Of a function: the field that it reads entry by entry. */
  readonly takes?: readonly string[];
  /** Of a voice: which sentence the failures are of, counted from 0 and around. */
  readonly sentence?: number;
  /** Of a voice: the store loses the stream before it is read. */
  readonly lost?: true;
};

/** A scripted stage's output. */
export function scriptedOutput({ salt }: Pick<Script, 'salt'>, input: JsonObject): JsonObject {
  const digits = Number.parseInt(jsonHash([salt, input]).slice(0, 6), 16);
  const list = Array.from({ length: digits % 4 }, (_, i) => (digits >> (i + 2)) % 10);
  return { n: digits % 10, list, text: `t${digits % 5}`, ok: digits % 2 === 0 };
}

const SENTENCES = ['It rains.', 'Nobody came!', 'Is it 3.5 km?', 'The end of it is near, and far.'];

/** What a scripted LLM says: no sentence, or some. */
export function scriptedText({ salt }: Pick<Script, 'salt'>, input: JsonObject): string {
  const digits = Number.parseInt(jsonHash([salt, input]).slice(0, 6), 16);
  return Array.from({ length: digits % 5 }, (_, i) => SENTENCES[(digits >> (i + 3)) % 4]).join(' ');
}

/** What a scripted voice makes of sentences, and of each. Undefined where there is nothing to say. */
export function scriptedSpeech({ text }: JsonObject): JsonObject | undefined {
  const chunks: { audio: { uri: string }; number: number; text: string; at: number }[] = [];
  let at = 0;
  for (const [i, sentence] of listOf(text).entries()) {
    const said = `${i > 0 ? ' ' : ''}${String(sentence)}`;
    if (said.trim() !== '') {
      chunks.push({ audio: { uri: `<${String(sentence)}>` }, number: chunks.length, text: said, at });
    }
    at += said.length;
  }
  if (chunks.length === 0) return undefined;
  return { audio: { uri: chunks.map(({ audio }) => audio.uri).join('') }, chunks };
}

/** What a scripted function gives that reads entries, yields them, or both: of each that it reads it makes one. */
export function scriptedFunction({ salt, yields, takes }: Script, input: JsonObject): JsonObject {
  if (!yields) return scriptedOutput({ salt }, input);
  if (takes) return { items: listOf(input.text).map(marked) };
  const digits = Number.parseInt(jsonHash([salt, input]).slice(0, 6), 16);
  return { items: Array.from({ length: digits % 5 }, (_, i) => SENTENCES[(digits >> (i + 3)) % 4] as string) };
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);
/** Of a piece of audio it is made of the file. */
const marked = (entry: Json): string =>
  `(${isJsonObject(entry) && isJsonObject(entry.audio) ? String(entry.audio.uri) : String(entry)})`;

/** The name under which calls of a stage, or of one of its alternatives, are counted. */
export const callName = (path: string, model: string): string => `${path} ${model}`;

/** When an LLM has said all: it cannot start over any more. */
interface LastWord {
  readonly said: Promise<void>;
  readonly say: () => void;
}

function lastWord(): LastWord {
  let say: LastWord['say'] = () => undefined;
  const said = new Promise<void>((resolve) => {
    say = resolve;
  });
  return { said, say };
}

/** The streams of an `each`, which reads one that may start over only when that cannot happen any more. */
class LateStreams extends StepStreams {
  readonly #stands: (channel: ChannelRef) => Promise<void>;

  constructor(log: ChannelLog, run: string, signal: AbortSignal, stands: (channel: ChannelRef) => Promise<void>) {
    super(log, run, signal);
    this.#stands = stands;
  }

  override async *read(channel: ChannelRef, reader: string) {
    await this.#stands(channel);
    yield* super.read(channel, reader);
  }

  override async wait(what: ChannelWait['waitFor'], quietMs?: number) {
    await this.#stands(what.channel);
    return await super.wait(what, quietMs);
  }
}

/** Carries out scripts, as a worker's stage runner carries out stages, and counts calls for each run. */
export class ScriptedRunner {
  readonly #runs = new Map<string, Map<string, number>>();
  readonly #lost = new Set<string>();
  readonly #lastWords = new Map<string, LastWord>();
  readonly #channels: ChannelLog | undefined;

  /** @param channels absent: streams are collected */
  constructor(channels?: ChannelLog) {
    this.#channels = channels;
  }

  get streams(): boolean {
    return this.#channels !== undefined;
  }

  stepStreams(run: string, signal: AbortSignal): StepStreams | undefined {
    const stands = (channel: ChannelRef) => this.#stands(run, channel, signal);
    return this.#channels && new LateStreams(this.#channels, run, signal, stands);
  }

  callsOf(run: string): ReadonlyMap<string, number> {
    return this.#runs.get(run) ?? new Map();
  }

  /**
   * A call that reads a stream and is cut off begins anew: what makes the stream has stopped for a new history, and the call is made again in that
   * one, by its script from the beginning.
   */
  async run(input: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const { signal, run } = attempt;
    if (!call.reads) return await this.#carriedOut(input, call, attempt);
    for (const channel of Object.values(call.reads)) await this.#stands(run, channel, signal);
    const forget = () => this.#runs.get(run)?.delete(callName(call.path ?? call.stage, call.model));
    signal.addEventListener('abort', forget, { once: true });
    try {
      return await this.#carriedOut(input, call, attempt);
    } finally {
      signal.removeEventListener('abort', forget);
    }
  }

  /**
   * Until the LLM that makes a stream, and may start over, has said all: a reader that had kept something of an answer that broke off would let it
   * fail, and which of the two is first is no matter of the plan. It reads the void channels, and then the one that stands.
   */
  async #stands(run: string, { path, restarts }: ChannelRef, signal: AbortSignal): Promise<void> {
    if (!restarts) return;
    const { said } = this.#lastWordOf(run, path);
    await new Promise<void>((resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      void said.then(resolve);
    });
  }

  #lastWordOf(run: string, path: string): LastWord {
    const key = `${run} ${path}`;
    const word = this.#lastWords.get(key) ?? lastWord();
    this.#lastWords.set(key, word);
    return word;
  }

  async #carriedOut(input: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const channels = this.#channels;
    const done = { endpoint: 'script', device: '', attempt: 1, cache: 'off', queueMs: 0, runMs: 0 } as const;
    const { yields, takes } = call.with as Script;
    if (call.kind === 'code' && (yields || takes)) {
      if (!channels || !(call.reads || call.writes))
        return { ...done, ...(await this.#function(input, call, attempt)) };
      // Attempts are counted over the whole stream here.
      const { passed: _, ...own } = attempt;
      const run = (inner: Attempt) => this.#function(input, call, inner);
      return { ...done, ...(await produceEntries({ channels }, { call, attempt: own }, run)) };
    }
    if (channels && call.reads) return { ...done, ...(await this.#speak(channels, call, attempt)) };
    if (call.kind === 'synthesize' && scriptedSpeech(input) === undefined)
      throw new MillraceError('INVALID_INPUT', 'nothing to say');
    if (call.kind === 'chat') {
      const text = scriptedText(call.with as Script, input);
      if (!channels || !call.writes) {
        await this.#called(call, attempt);
        return { ...done, output: { text } };
      }
      const about = { run: attempt.run, call, signal: attempt.signal, onDelta: () => undefined };
      const say = (producing: Producing) => this.#say(input, producing, call, attempt);
      const answer = await produceText({ channels }, about, say);
      this.#lastWordOf(attempt.run, call.path ?? call.stage).say();
      return { ...done, ...answer };
    }
    await this.#called(call, attempt);
    const output =
      call.kind === 'synthesize' ? scriptedSpeech(input) : scriptedOutput(call.with as unknown as Script, input);
    const outcome = { ...done, output: output as JsonObject, attempt: attempt.attempt };
    if (!channels || !call.writes) return outcome;
    return await passOnPieces({ channels }, { call, attempt }, outcome);
  }

  /** Counts a call, and fails as its script says. */
  async #called(call: StageCall, { attempt, run, signal }: Attempt, beforeFailure?: () => void): Promise<void> {
    const { failures = 0, code = 'INTERNAL', ms, never } = call.with as Script;
    const { name, count } = this.#count(call, run);
    if (count !== attempt) throw new MillraceError('INTERNAL', `call ${count} of ${name} is attempt ${attempt}`);
    if (count <= failures) beforeFailure?.();
    if (never) await sleep(600_000, undefined, { signal });
    if (ms !== undefined) await sleep(ms, undefined, { signal });
    if (count <= failures) throw new MillraceError(code, `failure ${count} of ${name}`);
  }

  #count({ path, stage, model }: StageCall, run: string): { readonly name: string; readonly count: number } {
    const calls = this.#runs.get(run) ?? new Map<string, number>();
    this.#runs.set(run, calls);
    const name = callName(path ?? stage, model);
    const count = (calls.get(name) ?? 0) + 1;
    calls.set(name, count);
    return { name, count };
  }

  /** The answer in small parts; an attempt that fails breaks off. */
  async #say(input: JsonObject, { committed, continues, onText }: Producing, call: StageCall, attempt: Attempt) {
    const { salt, failures = 0, breaksAt = 0, continues: may, other } = call.with as Script;
    const path = call.path ?? call.stage;
    const count = (this.#runs.get(attempt.run)?.get(callName(path, call.model)) ?? 0) + 1;
    const text = scriptedText({ salt: other && count <= failures ? salt + count : salt }, input);
    const begun = may ? committed : '';
    if (begun !== '') continues();
    const rest = text.slice(begun.length);
    const emit = (to: number) => {
      for (let at = 0; at < to; at += 7) onText(rest.slice(at, Math.min(at + 7, to)));
    };
    await this.#called(call, attempt, () => emit(Math.min(breaksAt, rest.length)));
    emit(rest.length);
    return { output: { text: rest } };
  }

  /** Reads and yields entry by entry; an attempt that fails breaks off. */
  async #function(input: JsonObject, call: StageCall, attempt: Attempt) {
    const script = call.with as Script;
    const { failures = 0, code = 'INTERNAL', breaksAt = 0, continues, ms, yields, takes } = script;
    const streams = attempt.streams ?? new CodeStreams(call, attempt);
    const begun = continues ? streams.resumeFrom() : undefined;
    const { name, count } = this.#count(call, attempt.run);
    if (count !== attempt.attempt)
      throw new MillraceError('INTERNAL', `call ${count} of ${name} is ${attempt.attempt}`);
    if (ms !== undefined) await sleep(ms, undefined, { signal: attempt.signal });
    let entries = 0;
    const fail = () => {
      throw new MillraceError(code, `failure ${count} of ${name}`);
    };
    const next = async (entry?: Json) => {
      if (count <= failures && entries >= breaksAt) fail();
      entries += 1;
      if (yields && entry !== undefined) await streams.add(entry);
    };
    const read: Json[] = [];
    if (takes) {
      const list = streams.reads('text') ? undefined : listOf(input.text);
      for await (const entry of streams.source('text', list, async (value) => value)) {
        read.push(entry);
        await next(marked(entry));
      }
    } else {
      const items = listOf(scriptedFunction(script, input).items);
      for (const item of items.slice(begun?.count ?? 0)) await next(item);
    }
    if (count <= failures) fail();
    const output = yields ? { items: [...streams.finish()] } : scriptedFunction(script, { ...input, text: read });
    return { output, endpoint: 'script', device: '' };
  }

  /** Counts the call that ends as one, as if all sentences were spoken by it. */
  async #speak(channels: ChannelLog, call: StageCall, attempt: Attempt) {
    const { sentence: wrong = 0, failures = 0, code = 'INTERNAL', lost, ms, never } = call.with as Script;
    const key = `${attempt.run} ${callName(call.path ?? call.stage, call.model)}`;
    if (lost && !this.#lost.has(key)) {
      this.#lost.add(key);
      throw new MillraceError('STREAM_LOST', 'the store has lost it');
    }
    const join = async (_: string, pieces: readonly Artifact[]) =>
      ({ uri: pieces.map(({ uri }) => uri).join('') }) as Artifact;
    const convert = async (_: string, piece: Artifact) => piece;
    let spoken = 0;
    const outcome = await speakStream(
      { channels, join, convert },
      { call, attempt, field: 'text' },
      async ({ text }, own) => {
        if (never) await sleep(600_000, undefined, { signal: own.signal });
        if (ms !== undefined) await sleep(ms, undefined, { signal: own.signal });
        // A sentence that fails for good is the first one: another voice may follow, and speaks all.
        const at = failures >= call.retry.attempts || call.retry.on ? 0 : wrong;
        if (spoken === at && own.attempt <= failures) {
          this.#count(call, attempt.run);
          throw new MillraceError(code, `failure ${own.attempt} of sentence ${spoken}`);
        }
        spoken += 1;
        return { output: scriptedSpeech({ text: [String(text)] }) as JsonObject, endpoint: 'script', device: '' };
      },
    );
    this.#count(call, attempt.run);
    return outcome;
  }
}
