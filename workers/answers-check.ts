import { Gauge, type Registry } from 'prom-client';
import { MillraceError } from '../pipelines/errors.js';
import type { Answers } from '../stores/answers/index.js';

/** Whether the fast path and direct answers work, for `/readyz` and metrics. */
export function answersCheck(answers: Pick<Answers, 'degraded'>, registry: Registry) {
  new Gauge({
    name: 'millrace_answers_degraded',
    help: 'Whether the fast path and direct answers are off (1), because no answers can be received',
    registers: [registry],
    collect() {
      this.set(answers.degraded === undefined ? 0 : 1);
    },
  });
  return {
    critical: false,
    async check() {
      if (answers.degraded !== undefined) throw new MillraceError('STORE_UNAVAILABLE', answers.degraded);
    },
  };
}
