import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt, StageRunner } from '../activities/stage-runner.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type {
  RunContext,
  RunResult,
  StageCall,
  StageOutcome,
  StagePlan,
  StageRecord,
  SubPipelinePlan,
} from '../pipelines/plan/index.js';
import { mayRetry, nextDelayMs } from '../pipelines/retry.js';
import { type Host, interpret, StageError } from '../workflows/interpreter/index.js';
import { Mailbox } from './mailbox.js';

/** Keeps the record of a segment's stages, so that it can go on after a crash. */
export interface Journal {
  /** How a call has ended before; undefined when it has not. */
  ended(call: StageCall): Ended | undefined;
  /** The number of the attempt that now begins. Rejects with `JOURNAL_UNAVAILABLE`. */
  begin(call: StageCall): Promise<number>;
  end(call: StageCall, ended: Ended): Promise<void>;
}

export type Ended =
  | { readonly outcome: StageOutcome }
  | { readonly failure: { readonly code: string; readonly message: string; readonly details: JsonObject } };

export interface InProcessOptions {
  readonly runner: Pick<StageRunner, 'run'>;
  readonly run: string;
  readonly signal?: AbortSignal;
  readonly mailbox?: Mailbox;
  readonly journal?: Journal;
  readonly onReport?: (stages: readonly StageRecord[]) => void;
}

/**
 * The interpreter's host inside one process: no Temporal, so a run ends with its process, unless a journal keeps what its
 * stages gave. Policies mean the same as under Temporal: attempts, backoff, attempt and total timeout, cancellation.
 */
export class InProcessHost implements Host {
  readonly #options: InProcessOptions;
  readonly #signal: AbortSignal;
  readonly #mailbox: Mailbox;

  constructor(options: InProcessOptions) {
    this.#options = options;
    this.#signal = options.signal ?? new AbortController().signal;
    this.#mailbox = options.mailbox ?? new Mailbox();
  }

  async runStage(stage: StagePlan, input: JsonObject, call: StageCall): Promise<StageOutcome> {
    const { journal } = this.#options;
    const before = journal?.ended(call);
    if (before && 'outcome' in before) return before.outcome;
    if (before) throw new StageError(before.failure.code, before.failure.message, before.failure.details);
    try {
      const outcome = await this.#attempts(stage, input, call);
      await journal?.end(call, { outcome });
      return outcome;
    } catch (error) {
      if (error instanceof StageError && error.code !== 'JOURNAL_UNAVAILABLE') {
        const { code, message, details } = error;
        await journal?.end(call, { failure: { code, message, details } });
      }
      throw error;
    }
  }

  async #attempts(stage: StagePlan, input: JsonObject, call: StageCall): Promise<StageOutcome> {
    const { retry, timeout } = stage.policy;
    const end = performance.now() + timeout.totalMs;
    let resumeFrom: Json = null;
    for (let count = 1; ; count++) {
      this.#signal.throwIfAborted();
      const attempt = (await this.#options.journal?.begin(call)) ?? count;
      if (attempt > retry.attempts) {
        throw stageError(stage, new MillraceError('STAGE_TIMEOUT', 'its worker stopped in the last attempt'));
      }
      const expiry = new AbortController();
      const limit = Math.min(timeout.attemptMs, end - performance.now());
      const expiring = setTimeout(() => expiry.abort(new Error('the attempt is over')), limit);
      try {
        return await this.#options.runner.run(input, call, {
          signal: AbortSignal.any([this.#signal, expiry.signal]),
          attempt,
          queueMs: 0,
          run: this.#options.run,
          resumeFrom,
          checkpoint: (progress) => {
            resumeFrom = progress;
          },
        } satisfies Attempt);
      } catch (error) {
        this.#signal.throwIfAborted();
        const failure = asFailure(error, stage, expiry.signal.aborted);
        const pause = nextDelayMs(retry, attempt, failure.details.retryAfterMs, Math.random());
        if (!mayRetry(retry, failure.code) || attempt >= retry.attempts || performance.now() + pause >= end) {
          throw stageError(stage, failure);
        }
        await this.wait(pause);
      } finally {
        clearTimeout(expiring);
      }
    }
  }

  /** Its stages are not this run's, so no journal of this run knows them. */
  async runChild(step: SubPipelinePlan, input: JsonObject, context: RunContext, path: string): Promise<JsonObject> {
    const { runner, run } = this.#options;
    try {
      const child = new InProcessHost({ runner, run: `${run}/${path}`, signal: this.#signal, mailbox: this.#mailbox });
      return ((await interpret(input, context, child)) as RunResult).output;
    } catch (error) {
      if (!(error instanceof StageError)) throw error;
      const { stages: _, ...details } = error.details;
      throw new StageError(error.code, `run "${step.id}": ${error.message}`, { ...details, stage: step.id });
    }
  }

  now(): number {
    return performance.now();
  }

  async wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#signal });
  }

  signal(name: string): Promise<Json> {
    return this.#mailbox.take(name, this.#signal);
  }

  async race<T>(contenders: readonly ((host: Host) => Promise<T>)[]): Promise<T> {
    const scope = new AbortController();
    const signal = AbortSignal.any([this.#signal, scope.signal]);
    const host = new InProcessHost({ ...this.#options, signal, mailbox: this.#mailbox });
    try {
      return await Promise.race(contenders.map((contender) => contender(host)));
    } finally {
      scope.abort();
    }
  }

  /** There is no history that could be full. */
  full(): boolean {
    return false;
  }

  report(stages: readonly StageRecord[]): void {
    this.#options.onReport?.(stages);
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

function asFailure(error: unknown, stage: StagePlan, timedOut: boolean): MillraceError {
  if (timedOut) {
    const { attemptMs, totalMs } = stage.policy.timeout;
    return new MillraceError('STAGE_TIMEOUT', `timed out (limits: ${attemptMs} ms an attempt, ${totalMs} ms in all)`);
  }
  return error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error));
}
