import { Counter, type Registry } from 'prom-client';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { PRIORITY_KEYS, type Priority } from '../../pipelines/plan/index.js';
import type { Placement } from '../../pipelines/run/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import type { Caller } from '../caller.js';
import type { Backlog } from './backlog.js';
import type { Turns } from './queue-stats.js';
import { queuesOf } from './queues-of.js';
import type { RunSlots, RunState } from './run-slots.js';
import type { TenantTurns } from './tenant-turns.js';

/** A run that is to be started. */
export interface Applicant {
  /** Its future id. */
  readonly id: string;
  readonly pipeline: Pick<Pipeline, 'name' | 'plan'>;
  /** Where its stages will run. */
  readonly placement: Placement;
  readonly caller: Caller;
  readonly priority?: Priority | undefined;
  /** The request has an idempotency key: the run may exist already. */
  readonly repeated?: boolean;
}

/**
 * Frees the slot of a run.
 * @param why absent: the run has ended. `refused`: this request does not start it; a slot that it has had from an earlier request is kept.
 */
export type Leave = (why?: 'refused') => void;

export interface AdmissionDeps {
  readonly slots: Pick<RunSlots, 'take' | 'release'>;
  stateOf(runId: string): Promise<RunState>;
  /** Absent: no load is shed. */
  readonly backlog?: Pick<Backlog, 'waitMs'> | undefined;
  /** What of the queues is a tenant's. Absent: tasks are taken in the order in which they came, whoever's they are. */
  readonly turns?: Pick<TenantTurns, 'note' | 'of'> | undefined;
  /** Task queue of the workflows. */
  readonly taskQueue: string;
  /** The state store; runs are rejected while it is full. Absent: not checked. */
  readonly state?: { requireRoom(): void } | undefined;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** `Retry-After` of `TOO_MANY_RUNS`, in milliseconds: the duration of a short run. */
const TOO_MANY_RETRY_MS = 1_000;

/**
 * The share of its deadline that a run may spend in a queue. Batch runs are rejected first; interactive runs only if the queue alone
 * takes their whole deadline.
 */
const SHARE_OF_DEADLINE: Readonly<Record<Priority, number>> = { interactive: 1, default: 0.75, batch: 0.5 };

/** Bounds of `Retry-After` under overload, in milliseconds. */
const LEAST_RETRY_MS = 1_000;
const MOST_RETRY_MS = 60_000;

/** Decides whether a run may start. Used by all doors. */
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
   * Admits a run. Throws `STATE_STORE_FULL` if the state store has no memory left, `OVERLOADED` if queues would take too much of its
   * deadline, and `TOO_MANY_RUNS` if its caller has reached its limit. A run that exists already is never rejected.
   * @returns a function to call when the run has ended, or was refused after all; slots that are not released are found later
   */
  async admit(applicant: Applicant): Promise<Leave> {
    const { id, pipeline, priority = 'default', repeated } = applicant;
    try {
      this.#deps.state?.requireRoom();
      await this.#refuseLate(applicant, priority);
      return await this.#slotFor(applicant);
    } catch (error) {
      if (repeated && ['running', 'ended'].includes(await this.#deps.stateOf(id))) return () => undefined;
      if (error instanceof MillraceError) this.#refused.inc({ code: error.code, pipeline: pipeline.name, priority });
      throw error;
    }
  }

  async #slotFor({ id, caller: { runs } }: Applicant): Promise<Leave> {
    if (runs === undefined) return () => undefined;
    const { slots } = this.#deps;
    const slot = await slots.take(runs.of, runs.most, id);
    if (slot !== undefined)
      return (why) => {
        if (why === undefined || slot === 'taken') slots.release(runs.of, id);
      };
    const message = `${runs.of.replace(':', ' ')} already has ${runs.most} runs in progress, which is the limit`;
    throw new MillraceError('TOO_MANY_RUNS', message, { retryAfterMs: TOO_MANY_RETRY_MS });
  }

  async #refuseLate(applicant: Applicant, priority: Priority): Promise<void> {
    const {
      pipeline: { name, plan },
      caller: { tenant },
    } = applicant;
    const { backlog, turns } = this.#deps;
    if (backlog === undefined) return;
    turns?.note(tenant);
    const mostMs = SHARE_OF_DEADLINE[priority] * plan.deadlineMs;
    if ((await this.#waitMs(backlog, applicant, priority)) <= mostMs) return;
    const waitMs = await this.#waitMs(backlog, applicant, priority, await turns?.of(tenant));
    if (waitMs <= mostMs) return;
    const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
    this.#warnings.warn(
      'overload',
      { pipeline: name, priority, waitMs, mostMs },
      'queues are too long: runs are refused',
    );
    throw new MillraceError(
      'OVERLOADED',
      `a ${priority} run would wait about ${seconds(waitMs)} in a queue, more than the ${seconds(mostMs)} that its deadline allows`,
      { retryAfterMs: Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, waitMs - mostMs)) },
    );
  }

  /** The longest wait in a queue of the run; the order of stages is ignored, so the estimate is a lower bound. */
  async #waitMs(
    backlog: Pick<Backlog, 'waitMs'>,
    { pipeline: { plan }, placement }: Applicant,
    priority: Priority,
    turns?: Turns,
  ): Promise<number> {
    const key = PRIORITY_KEYS[priority];
    const waits = queuesOf(plan, placement, this.#deps.taskQueue).map(async (queues) =>
      Math.min(...(await Promise.all(queues.map((queue) => backlog.waitMs(queue, key, turns))))),
    );
    return Math.max(...(await Promise.all(waits)));
  }
}
