import type { StagePlan } from '../../pipelines/plan/index.js';
import { leadMs } from '../../pipelines/run/lead.js';
import { StageError } from '../../pipelines/run/stage-error.js';

/** Possible lag of the run's clock when a timeout arrives. */
const CLOCK_SLACK_MS = 50;

/** Time left of the run's deadline, and the share of it that a stage may use. */
export class Deadline {
  readonly #end: number;
  readonly #deadlineMs: number;
  readonly #now: () => number;
  readonly #reserved: ReadonlyMap<string, number>;
  /** An attempt that the deadline cuts short expires ahead of it, and the clock may lag. */
  readonly #slackMs: number;

  /** @param reserved milliseconds that each step leaves for later ones, by id */
  constructor(end: number, deadlineMs: number, now: () => number, reserved: ReadonlyMap<string, number>) {
    this.#end = end;
    this.#deadlineMs = deadlineMs;
    this.#now = now;
    this.#reserved = reserved;
    this.#slackMs = CLOCK_SLACK_MS + leadMs(deadlineMs);
  }

  get leftMs(): number {
    return this.#end - this.#now();
  }

  /** Milliseconds that a stage leaves for later ones. */
  reservedFor(step: string): number {
    return this.#reserved.get(step) ?? 0;
  }

  /** Milliseconds that a stage may use: the time left minus what later stages need. */
  shareOf(step: string): number {
    return this.leftMs - this.reservedFor(step);
  }

  /**
   * Limits a stage's timeouts to its share, and its patience to half of that: an alternative to a server that is away
   * needs time too. Returns the same object if nothing changes. Throws `DEADLINE_EXCEEDED` if no time is left.
   */
  limit(stage: StagePlan): StagePlan {
    const share = this.shareOf(stage.id);
    if (share <= 0) throw this.#exceeded(stage.id);
    const { timeout, patienceMs = 0 } = stage.policy;
    const patient = Math.min(patienceMs, Math.floor(share / 2));
    if (share >= timeout.totalMs && patient === patienceMs) return stage;
    const totalMs = Math.min(timeout.totalMs, share);
    const limits = { ...timeout, attemptMs: Math.min(timeout.attemptMs, share), totalMs };
    return {
      ...stage,
      policy: { ...stage.policy, timeout: limits, ...(patient < patienceMs && { patienceMs: patient }) },
    };
  }

  /** Whether a failure is the run's deadline and not the stage's own timeout. */
  isOver(error: StageError): boolean {
    return error.code === 'STAGE_TIMEOUT' && this.leftMs <= this.#slackMs;
  }

  exceeded(stage: string): StageError {
    return this.#exceeded(stage);
  }

  #exceeded(stage: string): StageError {
    const left = Math.max(0, Math.round(this.leftMs));
    const message =
      left > this.#slackMs
        ? `the ${left} ms left of the deadline of ${this.#deadlineMs} ms are reserved for the stages after "${stage}"`
        : `the run took longer than its deadline of ${this.#deadlineMs} ms`;
    return new StageError('DEADLINE_EXCEEDED', message, { stage });
  }
}
