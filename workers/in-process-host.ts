import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt, StageRunner } from '../activities/stage-runner.js';
import { errorRow, MillraceError, messageOf } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type {
  RunContext,
  RunResult,
  StageCall,
  StageOutcome,
  StagePlan,
  StageRecord,
} from '../pipelines/plan/index.js';
import { type Host, interpret, StageError } from '../workflows/interpreter/index.js';

/**
 * The interpreter's host inside one process: no Temporal, so a run ends with its process. Policies mean the same as under
 * Temporal: attempts, backoff, attempt and total timeout, cancellation.
 */
export class InProcessHost implements Host {
  readonly #runner: Pick<StageRunner, 'run'>;
  readonly #run: string;
  readonly #signal: AbortSignal;
  readonly #mailbox: Mailbox;
  readonly #onReport: (stages: readonly StageRecord[]) => void;

  constructor(options: {
    runner: Pick<StageRunner, 'run'>;
    run: string;
    signal?: AbortSignal;
    mailbox?: Mailbox;
    onReport?: (stages: readonly StageRecord[]) => void;
  }) {
    this.#runner = options.runner;
    this.#run = options.run;
    this.#signal = options.signal ?? new AbortController().signal;
    this.#mailbox = options.mailbox ?? new Mailbox();
    this.#onReport = options.onReport ?? (() => undefined);
  }

  async runStage(stage: StagePlan, input: JsonObject, call: StageCall): Promise<StageOutcome> {
    const { retry, timeout } = stage.policy;
    const end = performance.now() + timeout.totalMs;
    let resumeFrom: Json = null;
    for (let attempt = 1; ; attempt++) {
      const expiry = new AbortController();
      const limit = Math.min(timeout.attemptMs, end - performance.now());
      const expiring = setTimeout(() => expiry.abort(new Error('the attempt is over')), limit);
      try {
        return await this.#runner.run(input, call, {
          signal: AbortSignal.any([this.#signal, expiry.signal]),
          attempt,
          queueMs: 0,
          run: this.#run,
          resumeFrom,
          checkpoint: (progress) => {
            resumeFrom = progress;
          },
        } satisfies Attempt);
      } catch (error) {
        this.#signal.throwIfAborted();
        const failure = asFailure(error, stage, expiry.signal.aborted);
        const backoff = Math.min(retry.initialMs * retry.factor ** (attempt - 1), retry.maxMs);
        const pause = failure.details.retryAfterMs || backoff;
        if (errorRow(failure.code).retry === 'never' || attempt >= retry.attempts || performance.now() + pause >= end) {
          throw new StageError(failure.code, `stage "${stage.id}": ${failure.message}`, {
            ...failure.details,
            stage: stage.id,
          } as JsonObject);
        }
        await this.wait(pause);
      } finally {
        clearTimeout(expiring);
      }
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
    const host = new InProcessHost({
      runner: this.#runner,
      run: this.#run,
      signal: AbortSignal.any([this.#signal, scope.signal]),
      mailbox: this.#mailbox,
      onReport: this.#onReport,
    });
    try {
      return await Promise.race(contenders.map((contender) => contender(host)));
    } finally {
      scope.abort();
    }
  }

  report(stages: readonly StageRecord[]): void {
    this.#onReport(stages);
  }
}

/** Messages sent to a run, by name, kept until they are taken. */
export class Mailbox {
  readonly #kept = new Map<string, Json[]>();
  readonly #takers = new Map<string, ((message: Json) => void)[]>();

  send(name: string, message: Json): void {
    const taker = this.#takers.get(name)?.shift();
    if (taker) taker(message);
    else this.#kept.set(name, [...(this.#kept.get(name) ?? []), message]);
  }

  take(name: string, signal: AbortSignal): Promise<Json> {
    const kept = this.#kept.get(name) ?? [];
    if (kept.length > 0) return Promise.resolve(kept.shift() as Json);
    return new Promise((resolve, reject) => {
      const takers = this.#takers.get(name) ?? [];
      this.#takers.set(name, takers);
      takers.push(resolve);
      signal.addEventListener(
        'abort',
        () => {
          takers.splice(takers.indexOf(resolve), 1);
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }
}

/** Runs a pipeline in this process. Rejects with a `StageError`. */
export const runInProcess = (
  input: JsonObject,
  context: RunContext,
  options: ConstructorParameters<typeof InProcessHost>[0],
): Promise<RunResult> => interpret(input, context, new InProcessHost(options));

function asFailure(error: unknown, stage: StagePlan, timedOut: boolean): MillraceError {
  if (timedOut) {
    const { attemptMs, totalMs } = stage.policy.timeout;
    return new MillraceError('STAGE_TIMEOUT', `timed out (limits: ${attemptMs} ms an attempt, ${totalMs} ms in all)`);
  }
  return error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error));
}
