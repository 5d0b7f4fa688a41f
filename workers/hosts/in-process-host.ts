import { randomUUID } from 'node:crypto';
import { MOST_LOSSES, workerLost } from '../../activities/stage/lost-workers.js';
import type { Attempt, StageRunner } from '../../activities/stage/stage-runner.js';
import { isWaitedFor, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StagePlan, SubPipelinePlan } from '../../pipelines/plan/index.js';
import { nextAttempt, UNTRIED } from '../../pipelines/retry.js';
import {
  childEvents,
  type Decision,
  type EventsTo,
  eventWithin,
  type Question,
  type RunContext,
  type RunEvent,
  type RunResult,
  type StageCall,
  type StageEvent,
  type StageOutcome,
  type StagePlacement,
  type StageRecord,
  usageOfRows,
  type Wait,
} from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { type Clock, REAL_CLOCK } from '../../runtime/clock.js';
import { linkedAbort } from '../../runtime/limited.js';
import { type Moment, momentAgo } from '../../runtime/moment.js';
import {
  type Answering,
  HANDED_BACK,
  interpret,
  interrupts,
  type Pieces,
  type RunHost,
  type Shown,
  Waits,
} from '../../workflows/interpreter/index.js';
import { CallsUnderWay } from './calls-under-way.js';
import { inProcessPieces } from './in-process-pieces.js';
import type { Journal } from './journal.js';
import { withinAttempt } from './within-attempt.js';

/** After so long since it began, in milliseconds, a call may be another worker's: a workflow task is given to another one after 3 s. */
const FRESH_MS = 1_000;

/**
 * Longest wait of a stage inside its segment for a server that is away, in milliseconds: enough for a lost connection. The segment holds
 * a slot and its run's workflow task meanwhile; after this its steps wait as activities, which hold neither.
 */
const LONGEST_WAIT_INSIDE_MS = 2_000;

/**
 * An attempt begins only if it can end before `endsBy`; of one that may take longer only this much is looked for, in milliseconds, since most calls take
 * much less than they may.
 */
const MOST_ROOM_MS = 15 * 60_000;

/** Longest attempt, in milliseconds, that counts as a check whether a server is back; a longer one is a call. Heartbeats have the same interval. */
const LONGEST_LOOK_MS = 500;

export type Runner = Pick<StageRunner, 'run'> & Partial<Pick<StageRunner, 'lack' | 'lost' | 'streams' | 'stepStreams'>>;

export interface InProcessOptions {
  readonly runner: Runner;
  readonly run: string;
  readonly signal?: AbortSignal;
  /** Open waits for decisions. */
  readonly waits?: Waits;
  readonly journal?: Journal;
  readonly onReport?: (stages: readonly StageRecord[]) => void;
  /** Receives what only the interpreter sees, of a run that may be followed. */
  readonly onEvent?: (event: RunEvent) => void;
  /** Default: the process's. */
  readonly clock?: Clock;
  /** Time of `performance.now()` at which calls are cut off: those that may not end before are left to another process. Absent: there is none. */
  readonly endsBy?: number;
  /** When what it runs began: no stream of a run that was erased since is opened. Default: now. */
  readonly begunAt?: Moment;
}

/**
 * The interpreter's host inside one process, without Temporal: a run ends with its process, unless a journal records it. Policies have
 * the same semantics as under Temporal: attempts, backoff, attempt and total timeout, cancellation.
 */
export class InProcessHost implements RunHost {
  readonly #options: InProcessOptions;
  readonly #signal: AbortSignal;
  readonly #waits: Waits;
  readonly #clock: Clock;
  readonly #underWay: CallsUnderWay;
  readonly #begunAt: Moment;

  /** @param underWay shared by the hosts of a run's races */
  constructor(options: InProcessOptions, underWay = new CallsUnderWay()) {
    this.#options = options;
    this.#underWay = underWay;
    this.#signal = options.signal ?? new AbortController().signal;
    this.#waits = options.waits ?? new Waits();
    this.#clock = options.clock ?? REAL_CLOCK;
    this.#begunAt = options.begunAt ?? momentAgo();
  }

  /** Whether calls were left to another process, since this one has no time left for them. */
  get ranOut(): boolean {
    return this.#underWay.ranOut;
  }

  get streams(): boolean {
    return this.#options.runner.streams === true;
  }

  get pieces(): Pieces | undefined {
    const { runner, run } = this.#options;
    return inProcessPieces(runner, run, this.#signal, this.#begunAt);
  }

  get endedBefore(): RunHost['endedBefore'] {
    const { journal } = this.#options;
    if (!journal?.again) return undefined;
    return (call) => {
      const ended = journal.ended(call);
      return ended && ('outcome' in ended ? 'succeeded' : 'failed');
    };
  }

  async runStage(
    stage: StagePlan,
    input: JsonObject,
    call: StageCall,
    _placed?: StagePlacement,
    _shown?: Shown,
    answer?: Answering,
  ): Promise<StageOutcome> {
    const { journal } = this.#options;
    const before = journal?.ended(call);
    if (before && 'outcome' in before) return before.outcome;
    if (before) throw new StageError(before.failure.code, before.failure.message, before.failure.details);
    let ended: () => void = () => undefined;
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    try {
      const ask = answer && ((question: Question) => answer(question, over));
      const outcome = await this.#attempts(stage, input, call, ask);
      journal?.end(call, { outcome });
      return outcome;
    } catch (error) {
      // After a lost stream the call is made again, with the collected values.
      if (error instanceof StageError && !interrupts(error) && error.code !== 'STREAM_LOST') {
        const { code, message, details } = error;
        journal?.end(call, { failure: { code, message, details } });
      }
      throw error;
    } finally {
      ended();
      this.#underWay.left(call);
    }
  }

  async #attempts(stage: StagePlan, input: JsonObject, call: StageCall, ask: Attempt['ask']): Promise<StageOutcome> {
    const { retry, timeout } = stage.policy;
    const { journal } = this.#options;
    // Time that earlier workers spent on the stage counts too.
    const leftMs = Math.min(timeout.totalMs, journal?.leftMs(call) ?? timeout.totalMs);
    const end = this.now() + leftMs;
    let again = call.again === true || journal?.leftMs(call) !== undefined;
    let resumeFrom: Json = null;
    let tried = UNTRIED;
    let away: MillraceError | undefined;
    let count = 1;
    for (;;) {
      this.#signal.throwIfAborted();
      if ((journal?.losses(call) ?? 0) >= MOST_LOSSES) {
        this.#options.runner.lost?.(call, 'WORKER_LOST', timeout.totalMs - leftMs);
        throw stageError(stage, workerLost());
      }
      if (this.now() >= end)
        throw stageError(stage, new MillraceError('STAGE_TIMEOUT', 'its time ended while its worker was lost'));
      const attempt = await this.#begin(call, count, end - this.now(), timeout.attemptMs);
      const begunAt = performance.now();
      const isLast = end - this.now() <= timeout.attemptMs;
      try {
        this.#signal.throwIfAborted();
        if (attempt > retry.attempts)
          throw new MillraceError('STAGE_TIMEOUT', 'its worker stopped in the last attempt');
        return await withinAttempt(this.#clock, stage, end - this.now(), this.#signal, (signal, endsAt) =>
          this.#options.runner.run(input, call, {
            signal,
            begunAt: this.#begunAt,
            endsAt,
            attempt,
            tried,
            again,
            queueMs: 0,
            run: this.#options.run,
            resumeFrom,
            ...(ask && { ask }),
            checkpoint: (progress) => {
              resumeFrom = progress;
            },
            mayBegin: async () => {
              if (performance.now() - begunAt > FRESH_MS) await journal?.held?.();
            },
            ...(journal?.rest && { rest: journal.rest.bind(journal, call) }),
            passed: () => {
              // Workers lost before this one did not lose it because of the call.
              if (!journal || journal.losses(call) === 0) return;
              journal.left(call, 0);
              journal.begin(call, end - this.now()).catch(() => undefined);
            },
          } satisfies Attempt),
        );
      } catch (error) {
        const thrown = error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error));
        // The stage's time ended while it looked for a server that was away.
        const looked = thrown.code === 'STAGE_TIMEOUT' && isLast && performance.now() - begunAt < LONGEST_LOOK_MS;
        const failure = (looked && away) || thrown;
        away = isWaitedFor(failure) && !this.#signal.aborted ? failure : undefined;
        const next = nextAttempt(retry, call.patienceMs, failure, away ? attempt - 1 : attempt, tried, Math.random());
        tried = next.tried;
        again ||= tried.unstreamed !== true;
        // After a lost stream the call is made again, with the collected values: the attempt at the stream does not count.
        const lost = failure.code === 'STREAM_LOST';
        // A reader is cut off where its segment goes on elsewhere; calls without streams have ended by then.
        const cut = call.reads !== undefined && this.#signal.aborted && this.ranOut;
        journal?.left(call, away ? tried.waitedMs : lost || cut ? 0 : undefined);
        this.#signal.throwIfAborted();
        if (next.delayMs === undefined || this.now() + next.delayMs >= end) throw stageError(stage, failure);
        this.#underWay.left(call);
        if (!away) count += 1;
        await this.wait(next.delayMs);
        if (away && journal && tried.waitedMs >= LONGEST_WAIT_INSIDE_MS && (await this.#underWay.quiet())) {
          throw new StageError(HANDED_BACK, `stage "${stage.id}": ${failure.message}`);
        }
      }
    }
  }

  /** If the journal is lost, running calls finish before the error is reported: their outcomes count. */
  async #begin(call: StageCall, count: number, leftMs: number, attemptMs: number): Promise<number> {
    try {
      this.#checkTime(call, attemptMs);
      this.#underWay.begun(call, attemptMs);
      this.#checkNeeds(call);
      return (await this.#options.journal?.begin(call, leftMs)) ?? count;
    } catch (error) {
      this.#underWay.left(call);
      await this.#underWay.none();
      throw error;
    }
  }

  /**
   * Before its time is over a segment begins no further call: those under way end, and another process goes on from the journal. Each has one call at least.
   * Not where a stream is made for as long: that is cut off in any case, and goes on behind what it has committed. A reader that has time begins also then:
   * what makes its stream may wait for it, and an attempt of a reader that is cut off does not count.
   */
  #checkTime(call: StageCall, attemptMs: number): void {
    const { endsBy } = this.#options;
    if (endsBy === undefined) return;
    if (!this.ranOut || call.reads !== undefined) {
      if (performance.now() + Math.min(attemptMs, MOST_ROOM_MS) <= endsBy) return;
      if (!this.#underWay.hasBegun || this.#underWay.streamsFor(MOST_ROOM_MS)) return;
    }
    this.#underWay.ranOut = true;
    const message = `stage "${call.stage}": its segment has no time left for it`;
    throw new StageError(HANDED_BACK, message, { stage: call.stage });
  }

  /** If this worker lacks what the call needs, the rest of the segment runs on task queues that other workers poll. */
  #checkNeeds(call: StageCall): void {
    const { runner, journal } = this.#options;
    const lack = runner.lack?.(call);
    if (!lack) return;
    const message = `stage "${call.stage}": this worker has no ${lack.what}`;
    throw new StageError(journal ? HANDED_BACK : lack.code, message, { stage: call.stage });
  }

  /** Stages of a child run are not recorded in this run's journal. */
  async runChild(step: SubPipelinePlan, input: JsonObject, context: RunContext, path: string): Promise<RunResult> {
    const { runner, run, onEvent, clock } = this.#options;
    try {
      const child = new InProcessHost({
        ...{ runner, run: `${run}/${path}`, signal: this.#signal, waits: this.#waits, begunAt: this.#begunAt },
        ...(onEvent && { onEvent }),
        ...(clock && { clock }),
      });
      return (await interpret(input, { ...context, ...childEvents(context, run, path) }, child)) as RunResult;
    } catch (error) {
      if (!(error instanceof StageError)) throw error;
      const { stages = [], ...details } = error.details;
      const usage = usageOfRows(stages as unknown as readonly StageRecord[]);
      const own = { ...details, stage: step.id, ...(usage && { usage }) };
      throw new StageError(error.code, `run "${step.id}": ${error.message}`, own);
    }
  }

  now(): number {
    return this.#clock.now();
  }

  async wait(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#signal);
  }

  nonce(): string {
    return randomUUID();
  }

  async decision(wait: Wait): Promise<Decision | undefined> {
    const { nonce } = wait;
    const signal = this.#signal;
    signal.throwIfAborted();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waits.begin(wait, resolve);
        if (this.#waits.decisionOn(nonce)) resolve();
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      return this.#waits.decisionOn(nonce);
    } finally {
      this.close(nonce);
    }
  }

  close(nonce: string): Decision | undefined {
    return this.#waits.end(nonce);
  }

  async race<T>(contenders: readonly ((host: RunHost) => Promise<T>)[]): Promise<T> {
    const { own, release } = linkedAbort(this.#signal);
    const options = { ...this.#options, signal: own.signal, waits: this.#waits, begunAt: this.#begunAt };
    const host = new InProcessHost(options, this.#underWay);
    try {
      return await Promise.race(contenders.map((contender) => contender(host)));
    } finally {
      release();
      own.abort();
    }
  }

  /** There is no history in this host. */
  full(): boolean {
    return false;
  }

  report(stages: readonly StageRecord[]): void {
    this.#options.onReport?.(stages);
  }

  publish(event: StageEvent, to: true | EventsTo): void {
    this.#options.onEvent?.(to === true ? event : eventWithin(event, to));
  }
}

/** Runs a pipeline in this process. Rejects with a `StageError`. */
export const runInProcess = async (
  input: JsonObject,
  context: RunContext,
  options: InProcessOptions,
): Promise<RunResult> => (await interpret(input, context, new InProcessHost(options))) as RunResult;

const stageError = ({ id }: StagePlan, { code, message, details }: MillraceError): StageError =>
  new StageError(code, `stage "${id}": ${message}`, { ...details, stage: id } as JsonObject);
