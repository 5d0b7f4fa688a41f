import type { Plan, StagePlan } from '../../pipelines/plan/index.js';
import { type Host, StageError } from './host.js';

/** A stage's timeout is counted from a moment that lies this much, at most, beside the interpreter's clock. */
const CLOCK_SLACK_MS = 50;

/**
 * The run's deadline, kept by giving each stage no more time than is left: a stage's own timeout ends it, so that no run
 * pays for a timer of its own.
 */
export class Deadline {
  readonly #plan: Plan;
  readonly #host: Host;
  readonly #end: number;

  constructor(plan: Plan, host: Host) {
    this.#plan = plan;
    this.#host = host;
    this.#end = host.now() + plan.deadlineMs;
  }

  /** The stage with no more time than is left; the same object when it needs no more. Throws `DEADLINE_EXCEEDED`. */
  limit(stage: StagePlan): StagePlan {
    const left = this.#end - this.#host.now();
    if (left <= 0) throw this.#exceeded(stage.id);
    const { timeout } = stage.policy;
    if (left >= timeout.totalMs) return stage;
    const limits = { attemptMs: Math.min(timeout.attemptMs, left), totalMs: left };
    return { ...stage, policy: { ...stage.policy, timeout: limits } };
  }

  /** Why a limited stage has failed: `DEADLINE_EXCEEDED` when it timed out and nothing is left. */
  reason(stage: StagePlan, error: unknown): unknown {
    const over = this.#end - this.#host.now() <= CLOCK_SLACK_MS;
    return over && error instanceof StageError && error.code === 'STAGE_TIMEOUT' ? this.#exceeded(stage.id) : error;
  }

  #exceeded(stage: string): StageError {
    const { deadlineMs } = this.#plan;
    const message = `the run took longer than its deadline of ${deadlineMs} ms`;
    return new StageError('DEADLINE_EXCEEDED', message, { stage });
  }
}
