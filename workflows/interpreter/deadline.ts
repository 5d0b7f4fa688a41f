import type { Plan, StagePlan } from '../../pipelines/plan/index.js';
import { type Host, StageError } from './host.js';

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

  /** Runs a stage within what is left. Rejects with `DEADLINE_EXCEEDED` when that, not the stage's own limit, ended it. */
  async within<T>(stage: StagePlan, run: (limited: StagePlan) => Promise<T>): Promise<T> {
    const left = this.#end - this.#host.now();
    if (left <= 0) throw this.#exceeded();
    const { timeout } = stage.policy;
    if (left >= timeout.totalMs) return run(stage);
    const limits = { attemptMs: Math.min(timeout.attemptMs, left), totalMs: left };
    try {
      return await run({ ...stage, policy: { ...stage.policy, timeout: limits } });
    } catch (error) {
      throw error instanceof StageError && error.code === 'STAGE_TIMEOUT' ? this.#exceeded(stage.id) : error;
    }
  }

  #exceeded(stage?: string): StageError {
    const { deadlineMs } = this.#plan;
    const message = `the run took longer than its deadline of ${deadlineMs} ms`;
    return new StageError('DEADLINE_EXCEEDED', message, stage === undefined ? {} : { stage });
  }
}
