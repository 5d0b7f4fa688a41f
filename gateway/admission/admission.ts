import { Counter, type Registry } from 'prom-client';
import type { Pipeline } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Caller } from '../access/caller.js';
import type { RunSlots } from './run-slots.js';

/** A run that somebody wants to start. */
export interface Applicant {
  /** The id that it will have. */
  readonly id: string;
  readonly pipeline: Pipeline;
  readonly caller: Caller;
}

/** A caller whose runs are all taken is told to come back after this: the time that a short run takes. */
const RETRY_AFTER_MS = 1_000;

/** Decides whether a run may start; all doors ask it. */
export class Admission {
  readonly #slots: Pick<RunSlots, 'take' | 'release'>;
  readonly #refused: Counter<'code' | 'pipeline'>;

  constructor(slots: Pick<RunSlots, 'take' | 'release'>, registry: Registry) {
    this.#slots = slots;
    this.#refused = new Counter({
      name: 'millrace_runs_refused_total',
      help: 'Runs that were not started because of a limit',
      labelNames: ['code', 'pipeline'] as const,
      registers: [registry],
    });
  }

  /**
   * Lets a run start or throws `TOO_MANY_RUNS`.
   * @returns what to call when the run is known to have ended; a forgotten call is made good later
   */
  async admit({ id, pipeline, caller: { runs } }: Applicant): Promise<() => void> {
    if (runs === undefined) return () => undefined;
    if (await this.#slots.take(runs.of, runs.most, id)) return () => this.#slots.release(runs.of, id);
    throw this.#refuse(
      new MillraceError('TOO_MANY_RUNS', `${runs.of.replace(':', ' ')} has ${runs.most} runs going on, its most`, {
        retryAfterMs: RETRY_AFTER_MS,
      }),
      pipeline,
    );
  }

  #refuse(error: MillraceError, { name }: Pipeline): MillraceError {
    this.#refused.inc({ code: error.code, pipeline: name });
    return error;
  }
}
