import { type ErrorCode, isStreamLost, isWaitedFor, MillraceError } from '../../pipelines/errors.js';
import { canonicalJson, type Json, type JsonObject } from '../../pipelines/json.js';
import { awaited, type CacheOutcome, type StageCall, type StageOutcome } from '../../pipelines/run/index.js';
import { traitsOf } from '../../pipelines/stages/index.js';
import type { Moment } from '../../runtime/moment.js';
import type { AttemptEvents } from '../../stores/events/index.js';
import { asThrown, type KeptEnd } from '../../stores/records/index.js';
import { HandedOver } from '../connectors/handed-over.js';
import {
  inOnePiece,
  listen,
  passOnPieces,
  produceEntries,
  produceText,
  type SpeakingParts,
  type SpokenChunk,
  StepStreams,
  speakStream,
  speakWhole,
} from '../streams/index.js';
import { askedAgain, goneFor, isRecorded } from './asked-again.js';
import { type CachingParts, fromCacheAlone, throughCache } from './cached-stage.js';
import { CallReport, type PublicFailure, type ReportParts } from './call-report.js';
import { type Lack, lacking, lackOf } from './lack.js';
import { type Served, serveStage } from './serve-stage.js';
import type { Attempt, ServingParts } from './serving.js';

export type { Attempt } from './serving.js';

type OnText = (delta: string) => void;
type OnChunk = (chunk: SpokenChunk, number: number) => void;
type Answered = Served & { readonly cache: CacheOutcome };

export type StageRunnerParts = ServingParts &
  CachingParts &
  ReportParts & {
    /** Channels between stages, and what joins the audio of one. Absent: streams are collected. */
    readonly streams?: SpeakingParts;
  };

/**
 * Runs one attempt of a stage: cache, model call, check of the answer. Every host of the interpreter runs stages
 * through it.
 */
export class StageRunner {
  readonly #parts: StageRunnerParts;

  constructor(parts: StageRunnerParts) {
    this.#parts = parts;
  }

  /** What a call needs that this worker does not have: a version of a function, or the definition of a kind. */
  lack(call: Parameters<typeof lackOf>[1]): Lack | undefined {
    return lackOf(this.#parts, call);
  }

  /** Whether stages can read and write channels. */
  get streams(): boolean {
    return this.#parts.streams !== undefined;
  }

  /**
   * The streams of steps that the interpreter runs itself in this process; undefined without channels.
   * @param begunAt when the step, or its segment, began. Default: now.
   */
  stepStreams(run: string, signal: AbortSignal, begunAt?: Moment): StepStreams | undefined {
    const { streams } = this.#parts;
    return streams && new StepStreams(streams.channels, run, signal, begunAt);
  }

  /**
   * Counts a call that ends without another attempt, since it has lost its workers.
   * @param ms since its first attempt was due: nobody knows when the lost ones began
   */
  lost({ pipeline, stage, kind, model }: StageCall, outcome: ErrorCode, ms: number): void {
    this.#parts.metrics.stageSeconds.observe({ pipeline, stage, kind, model, outcome }, Math.max(0, ms) / 1_000);
  }

  /**
   * The outcome of a call that an attempt has recorded and could not report. Throws as `RunRecords.earlier` does.
   * @param since when the call was scheduled, in milliseconds since 1970
   * @param unread as there
   * @param withinMs as there
   */
  async earlier<T = never>(
    input: JsonObject,
    call: StageCall,
    run: string,
    since: number,
    unread?: T,
    withinMs?: number,
  ): Promise<StageOutcome | T | undefined> {
    const { records, logger } = this.#parts;
    try {
      return await records?.earlier?.(run, call, input, since, unread, withinMs);
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'RECORD_GONE') {
        const { pipeline, path, stage, tenant } = call;
        const fields = { run, pipeline, stage: path ?? stage, tenant, error: error.message };
        logger.warn(fields, 'the recorded outcome of a call is lost');
      }
      throw error;
    }
  }

  /** Throws a `MillraceError`, or the reason of `attempt.signal`. */
  async run(input: JsonObject, call: StageCall, attempt: Attempt): Promise<StageOutcome> {
    const { metrics, logger } = this.#parts;
    const { run, queueMs, endsAt } = attempt;
    metrics.stageQueueSeconds.observe({ pipeline: call.pipeline, stage: call.stage }, queueMs / 1_000);
    // A stage that waits for a server comes here repeatedly; the event is sent once.
    const waited = (attempt.tried?.waitedMs ?? 0) > 0;
    const { resumeFrom } = attempt;
    const about = { run, call, input, attempt: attempt.attempt, queueMs, endsAt, again: waited, resumeFrom };
    const report = new CallReport(this.#parts, about);
    const beginning = new Beginning(attempt);
    try {
      const before = await this.#before(input, call, attempt);
      if (before && 'failure' in before) throw asThrown(before.failure);
      // The cache must not answer for a function body that this worker does not have.
      const lack = before ? undefined : this.lack(call);
      if (lack) throw lacking(lack);
      const serve = () => this.#serve(input, call, beginning.attempt, report.events);
      if (before) await this.#passOn(before.outcome, call, attempt);
      return await report.done(before?.outcome ?? (await serve()));
    } catch (error) {
      if (beginning.refused) {
        logger.info(report.fields, 'stage attempt ends without a call: another worker may have begun it');
        throw error;
      }
      if (attempt.signal.reason instanceof HandedOver) {
        logger.info(report.fields, 'stage attempt is handed over');
        throw error;
      }
      if (error instanceof MillraceError && isWaitedFor(error) && call.patienceMs !== 0 && !attempt.signal.aborted) {
        const { code, message, details } = error;
        const { loading, loadMs } = details;
        const pool = awaited(call, details);
        // Told once, unless it now waits for something else.
        if (waited && loading === attempt.tried?.loading) throw error;
        if (loading) {
          logger.info({ ...report.fields, pool, loadMs }, 'stage waits until its model is loaded');
          await report.events?.loading(pool, loadMs);
        } else {
          logger.warn({ ...report.fields, code, error: message }, 'stage waits for what is away');
          await report.events?.waitingFor(pool, code, message);
        }
        throw error;
      }
      const code = error instanceof MillraceError ? error.code : attempt.signal.aborted ? 'aborted' : 'INTERNAL';
      await report.failed(error, code, publicFailure(error, attempt.signal));
      throw error;
    }
  }

  /**
   * How the call has ended in a run that this one resumes. Throws `RECORD_GONE` if that cannot be read for as long as it is asked for, and as
   * `RunRecords.before` does.
   */
  async #before(input: JsonObject, call: StageCall, { run, signal, endsAt }: Attempt): Promise<KeptEnd | undefined> {
    const leftMs = (endsAt ?? Number.POSITIVE_INFINITY) - performance.now();
    const ask = async (withinMs: number) => await this.#parts.records?.before(run, call, input, withinMs);
    try {
      return await askedAgain(ask, { leftMs, signal, again: isRecorded });
    } catch (error) {
      if (!isRecorded(error)) throw error;
      signal.throwIfAborted();
      throw goneFor(error);
    }
  }

  /** Streams a result from the run that this one resumes: steps that read it wait for its stream. */
  async #passOn(kept: StageOutcome, call: StageCall, attempt: Attempt): Promise<void> {
    const { streams } = this.#parts;
    const { writes } = call;
    // Callers hear the audio when the run has ended, which is at once.
    if (!streams || !writes || (isHeard(writes) && !isRead(writes))) return;
    const { run, signal } = attempt;
    const about = { run, call, signal, onDelta: () => undefined, opening: attempt };
    const passedOn = isRead(writes)
      ? passOnPieces(streams, { call, attempt }, inOnePiece(kept))
      : writes.includes('entries')
        ? produceEntries(streams, { call, attempt }, async () => kept)
        : produceText(streams, about, async () => kept);
    await passedOn.catch(orCollected(kept));
  }

  /** Speaks one sentence at a time; an exact cache keeps them one by one. */
  #sentences(input: JsonObject, call: StageCall): (sentence: JsonObject, own: Attempt) => Promise<Answered> {
    let made = false;
    return async (sentence, own) => {
      const whole = { ...input, ...sentence };
      const serve = (instead = whole) => serveStage(this.#parts, instead, call, own);
      if (call.cache?.kind !== 'exact') return { ...(await serve()), cache: 'off' };
      const { cachedBy: _, ...served } = await throughCache(this.#parts, whole, call, own, serve);
      const found = served.cache === 'hit' || served.cache === 'shared';
      made ||= !found;
      // The last sentence's outcome is the stage's: a hit only if all were.
      return found && made ? { ...served, cache: 'miss' } : served;
    };
  }

  /** Sentence by sentence, to be heard while it is made; undefined if it is not, `lost` if the store may have lost some of it. */
  async #speakWhole(
    input: JsonObject,
    call: StageCall,
    attempt: Attempt,
    onChunk: OnChunk,
  ): Promise<Answered | 'lost' | undefined> {
    const parts = this.#parts;
    const field = traitsOf(call)?.takes;
    if (!parts.streams || field === undefined) return undefined;
    const serve = this.#sentences(input, call);
    let begun = false;
    const serveOne: typeof serve = (sentence, own) => {
      begun = true;
      return serve(sentence, own);
    };
    try {
      return await speakWhole(parts.streams, { call, attempt, input, field, text: input[field] }, serveOne, onChunk);
    } catch (error) {
      if (isStreamLost(error)) return begun ? 'lost' : undefined;
      throw error;
    }
  }

  /** Audio that a voice has made at once: for those who read its pieces it is one. */
  async #asPieces(served: Answered, input: JsonObject, call: StageCall, attempt: Attempt): Promise<Answered> {
    const whole = inOnePiece(served, input[traitsOf(call)?.takes ?? '']);
    const { streams } = this.#parts;
    return streams ? await passOnPieces(streams, { call, attempt }, whole).catch(orCollected(whole)) : whole;
  }

  /** A recogniser whose segments are read while it listens. */
  async #listen(
    input: JsonObject,
    call: StageCall,
    attempt: Attempt,
    aloneOf: (own: Attempt) => (instead?: JsonObject) => Promise<Served>,
  ): Promise<Answered> {
    const parts = this.#parts;
    const cached = (own: Attempt) => throughCache(parts, input, call, own, aloneOf(own));
    const { streams } = parts;
    if (!streams) return await cached(attempt);
    let opened = false;
    try {
      return await listen(streams, { call, attempt }, async (own, committed) => {
        opened = true;
        if (committed.length === 0 || call.cache?.only) return await cached(own);
        // An attempt that was copying a cached transcript is gone on with; the recogniser might hear something else.
        const kept = await fromCacheAlone(parts, input, call, own);
        if (kept && beginsWith(kept.output.segments, committed)) return kept;
        return { ...(await aloneOf(own)()), cache: call.cache ? 'bypass' : 'off' };
      });
    } catch (error) {
      if (opened || !isStreamLost(error)) throw error;
      // The state store is away: the segments are read when all are there, as a stream if the store is back by then.
      const served = await withoutStreams(attempt, cached(attempt));
      return await produceEntries(streams, { call, attempt }, async () => served).catch(orCollected(served));
    }
  }

  /** A function that reads or yields entry by entry. */
  async #runCode(input: JsonObject, call: StageCall, attempt: Attempt): Promise<Answered> {
    const parts = this.#parts;
    const alone = (own: Attempt) => throughCache(parts, input, call, own, () => serveStage(parts, input, call, own));
    if (!parts.streams) {
      if (call.reads) throw new MillraceError('STREAM_LOST', 'this worker has no channels');
      return await alone(attempt);
    }
    let opened = false;
    try {
      return await produceEntries(parts.streams, { call, attempt }, async (own, committed) => {
        opened = true;
        if ((committed.length === 0 || call.cache?.only) && !call.reads) return await alone(own);
        // An attempt that was copying a cached result into the stream is gone on with; the function would make another one.
        const kept = call.reads ? undefined : await fromCacheAlone(parts, input, call, own);
        if (kept && beginsWith(kept.output.items, committed)) return kept;
        return { ...(await serveStage(parts, input, call, own)), cache: call.cache ? 'bypass' : 'off' };
      });
    } catch (error) {
      if (opened || call.reads || !isStreamLost(error)) throw error;
      // The state store is away: the entries are read when all are there, as a stream if the store is back by then.
      const served = await withoutStreams(attempt, alone(attempt));
      return await produceEntries(parts.streams, { call, attempt }, async () => served).catch(orCollected(served));
    }
  }

  /** By a stream between stages if the call has one. */
  async #serve(
    input: JsonObject,
    call: StageCall,
    attempt: Attempt,
    events: AttemptEvents | undefined,
  ): Promise<Answered> {
    const parts = this.#parts;
    const { reads, writes } = call;
    if (call.kind === 'code' && (reads || writes)) return await this.#runCode(input, call, attempt);
    const onChunk: OnChunk = ({ text, at, audio }, number) => events?.audio({ number, text, at, audio });
    const [field] = Object.keys(reads ?? {});
    if (field !== undefined) {
      if (!parts.streams) throw new MillraceError('STREAM_LOST', 'this worker has no channels');
      return await speakStream(parts.streams, { call, attempt, input, field }, this.#sentences(input, call), onChunk);
    }
    const speaks = writes !== undefined && (isHeard(writes) || isRead(writes));
    // A semantic cache answers the whole text.
    const inPieces = speaks && call.cache?.kind !== 'semantic';
    const spoken = inPieces ? await this.#speakWhole(input, call, attempt, onChunk) : undefined;
    if (spoken !== undefined && spoken !== 'lost') return spoken;
    const onText: OnText = (delta) => events?.delta(delta);
    const onReasoning: OnText = (more) => events?.reasoning(more);
    const onProgress = (share: number) => events?.progress(share);
    const alone =
      (own: Attempt, onOwn: OnText) =>
      (instead = input) =>
        serveStage(parts, instead, call, own, onOwn, onReasoning, onProgress);
    if (!writes || speaks || !parts.streams) {
      const speaking = throughCache(parts, input, call, attempt, alone(attempt, onText));
      const served = await (inPieces && spoken !== 'lost' ? withoutStreams(attempt, speaking) : speaking);
      return writes && isRead(writes) ? await this.#asPieces(served, input, call, attempt) : served;
    }
    if (call.kind === 'transcribe') return await this.#listen(input, call, attempt, (own) => alone(own, onText));
    const { run, signal } = attempt;
    const about = { run, call, signal, onDelta: onText, onEntry: attempt.passed, opening: attempt };
    let opened = false;
    try {
      return await produceText(parts.streams, about, async (producing) => {
        opened = true;
        const { committed: text, continues } = producing;
        const own = { ...attempt, signal: producing.signal };
        if (text === '' || call.cache?.only)
          return await throughCache(parts, input, call, own, alone(own, producing.onText));
        // A cached answer may be another one than the one that was begun.
        const begun = { ...own, continued: { text, continues } };
        return { ...(await alone(begun, producing.onText)()), cache: call.cache ? 'bypass' : 'off' };
      });
    } catch (error) {
      if (opened || !isStreamLost(error)) throw error;
      // The state store is away: the answer is read when it is whole, as a stream if the store is back by then.
      const served = await withoutStreams(attempt, throughCache(parts, input, call, attempt, alone(attempt, onText)));
      const silent = { ...about, onDelta: () => undefined };
      return await produceText(parts.streams, silent, async () => served).catch(orCollected(served));
    }
  }
}

/** Of a voice, by what its stage writes: callers hear its audio while it is made. */
const isHeard = (writes: readonly string[]): boolean => writes.includes('chunks');
/** Of a voice: something of the plan reads the pieces of its audio. */
const isRead = (writes: readonly string[]): boolean => writes.includes('pieces');

/** Whether an attempt was refused its call, since another worker has it: its end is no end of the call, and is not told. */
class Beginning {
  readonly attempt: Attempt;
  refused = false;

  constructor(attempt: Attempt) {
    const { mayBegin, rest } = attempt;
    this.attempt = {
      ...attempt,
      ...(mayBegin && { mayBegin: () => this.#allowed(attempt.signal, () => mayBegin.call(attempt)) }),
      ...(rest && {
        rest: () => {
          const goOn = rest.call(attempt);
          return () => this.#allowed(attempt.signal, goOn);
        },
      }),
    };
  }

  async #allowed(signal: AbortSignal, asked: () => Promise<void>): Promise<void> {
    try {
      await asked();
    } catch (error) {
      // An attempt whose time is over, or that is cancelled, has that as its end.
      this.refused = !signal.aborted || signal.reason === error;
      throw error;
    }
  }
}

/**
 * What is made while the store is away, by an attempt that has committed nothing. Where it fails, the next attempt need not wait for the store,
 * unless one before this one may have committed entries.
 */
async function withoutStreams<T>({ again }: Attempt, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (again || !(error instanceof MillraceError)) throw error;
    const { code, message, details, cause } = error;
    throw new MillraceError(code, message, { ...details, unstreamed: true }, { cause });
  }
}

/**
 * What was made while the store was away is not streamed if it still is. Anything else fails: if the answer is not what readers
 * have the beginning of, they would be given another one than the stage.
 */
const orCollected =
  <T>(served: T) =>
  (error: unknown): T => {
    if (isStreamLost(error)) return served;
    throw error;
  };

/** Whether a result's items are these and perhaps more. */
const beginsWith = (items: Json | undefined, committed: readonly Json[]): boolean =>
  Array.isArray(items) &&
  items.length >= committed.length &&
  committed.every((value, i) => canonicalJson(value) === canonicalJson(items[i] as Json));

/** The failure as followers of the run see it; an unexpected error's message may contain paths or hosts. */
function publicFailure(error: unknown, signal: AbortSignal): PublicFailure {
  const known = [signal.aborted ? signal.reason : undefined, error].find((each) => each instanceof MillraceError);
  if (known) return { code: known.code, message: known.message };
  return signal.aborted
    ? { code: 'RUN_CANCELLED', message: 'the stage was aborted' }
    : { code: 'INTERNAL', message: 'an error inside the worker' };
}
