import { Counter, type Registry } from 'prom-client';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { PRIORITY_KEYS, type Priority } from '../../pipelines/plan/index.js';
import type { Placement } from '../../pipelines/run/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import type { Caller } from '../caller.js';
import type { Backlog } from './backlog.js';
import { queuesOf } from './queues-of.js';
import type { RunSlots, RunState } from './run-slots.js';

/** A run that somebody wants to start. */
export interface Applicant {
  /** The id that it will have. */
  readonly id: string;
  readonly pipeline: Pick<Pipeline, 'name' | 'plan'>;
  /** Where its stages will run. */
  readonly placement: Placement;
  readonly caller: Caller;
  readonly priority?: Priority | undefined;
  /** The run may have been started before, by a request with the same idempotency key. */
  readonly repeated?: boolean;
}

export interface AdmissionDeps {
  readonly slots: Pick<RunSlots, 'take' | 'release'>;
  stateOf(runId: string): Promise<RunState>;
  /** Absent: nothing is shed. */
  readonly backlog?: Pick<Backlog, 'waitMs'> | undefined;
  /** Of the workflows. */
  readonly taskQueue: string;
  /** The state store; without room there no run starts. Absent: it is not looked at. */
  readonly state?: { requireRoom(): void } | undefined;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** A caller whose runs are all taken is told to come back after this: the time that a short run takes. */
const TOO_MANY_RETRY_MS = 1_000;

/**
 * The part of its deadline that a run may spend in a queue. Batch gives way first, while there is still time for what is
 * more urgent; interactive runs are refused only when the queue alone takes all the time they have.
 */
const SHARE_OF_DEADLINE: Readonly<Record<Priority, number>> = { interactive: 1, default: 0.75, batch: 0.5 };

/** Bounds of what an overloaded gateway says about when to come back. */
const LEAST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 60_000;

/** Decides whether a run may start; all doors ask it. */
export class Admission {
  readonly #deps: AdmissionDeps;
  readonly #warnings: RationedWarnings;
  readonly #refused: Counter<'code' | 'pipeline' | 'priority'>;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
    this.#warnings = new RationedWarnings(deps.logger);
    this.#refused = new Counter({
      name: 'millrace_runs_refused_total',
      help: 'Runs that were not started because of a limit or of full queues',
      labelNames: ['code', 'pipeline', 'priority'] as const,
      registers: [deps.registry],
    });
  }

  /**
   * Lets a run start. Throws `STATE_STORE_FULL` when the state store has no memory for it, `OVERLOADED` when queues would take too much of its deadline, and `TOO_MANY_RUNS` when its
   * caller has as many as it may. A run that is there already is never refused.
   * @returns what to call when the run is known to have ended; a forgotten call is made good later
   */
  async admit(applicant: Applicant): Promise<() => void> {
    const { id, pipeline, placement, priority = 'default', repeated } = applicant;
    try {
      this.#deps.state?.requireRoom();
      await this.#refuseLate(pipeline, placement, priority);
      return await this.#slotFor(applicant);
    } catch (error) {
      if (repeated && ['running', 'ended'].includes(await this.#deps.stateOf(id))) return () => undefined;
      if (error instanceof MillraceError) this.#refused.inc({ code: error.code, pipeline: pipeline.name, priority });
      throw error;
    }
  }

  async #slotFor({ id, caller: { runs } }: Applicant): Promise<() => void> {
    if (runs === undefined) return () => undefined;
    const { slots } = this.#deps;
    if (await slots.take(runs.of, runs.most, id)) return () => slots.release(runs.of, id);
    const message = `${runs.of.replace(':', ' ')} has ${runs.most} runs going on, its most`;
    throw new MillraceError('TOO_MANY_RUNS', message, { retryAfterMs: TOO_MANY_RETRY_MS });
  }

  async #refuseLate({ name, plan }: Applicant['pipeline'], placement: Placement, priority: Priority): Promise<void> {
    const { backlog, taskQueue } = this.#deps;
    if (backlog === undefined) return;
    const key = PRIORITY_KEYS[priority];
    const waits = queuesOf(plan, placement, taskQueue).map(async (queues) =>
      Math.min(...(await Promise.all(queues.map((queue) => backlog.waitMs(queue, key))))),
    );
    // The longest alone: how stages follow each other is not looked at, so that nobody is refused without need.
    const waitMs = Math.max(...(await Promise.all(waits)));
    const mostMs = SHARE_OF_DEADLINE[priority] * plan.deadlineMs;
    if (waitMs <= mostMs) return;
    const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
    this.#warnings.warn(
      'overload',
      { pipeline: name, priority, waitMs, mostMs },
      'queues are too long: runs are refused',
    );
    throw new MillraceError(
      'OVERLOADED',
      `a ${priority} run would wait about ${seconds(waitMs)} in a queue; of its deadline it may ${seconds(mostMs)}`,
      { retryAfterMs: Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, waitMs - mostMs)) },
    );
  }
}
