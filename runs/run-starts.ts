import { Counter, type Registry } from 'prom-client';
import type { Priority } from '../pipelines/plan/index.js';
import { boundedLabel } from '../telemetry/bounded-label.js';

/** Counts the runs that a gateway starts, by whichever door; not those that were there already. */
export class RunStarts {
  readonly #started: Counter<'pipeline' | 'priority'>;
  readonly #labelOf = boundedLabel();

  constructor(registry: Registry) {
    this.#started = new Counter({
      name: 'millrace_runs_started_total',
      help: 'Runs that this gateway has started; one that is resumed is a run of its own',
      labelNames: ['pipeline', 'priority'] as const,
      registers: [registry],
    });
  }

  count(pipeline: string, priority: Priority = 'default'): void {
    this.#started.inc({ pipeline: this.#labelOf(pipeline), priority });
  }
}
