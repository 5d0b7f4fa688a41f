import { Counter, type Registry } from 'prom-client';
import type { Logger } from '../telemetry/logger.js';

/**
 * Logs and counts rejections that no code handles, such as of a promise that a stage's function does not await. Without it
 * Node ends the process, and with it the stages and requests of others. Returns a function that undoes this.
 */
export function logUnhandledRejections(logger: Logger, registry: Registry): () => void {
  const count = new Counter({
    name: 'millrace_unhandled_rejections_total',
    help: 'Rejected promises that no code handled',
    registers: [registry],
  });
  const note = (reason: unknown) => {
    count.inc();
    const error = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    logger.error({ code: 'INTERNAL', error }, 'a promise was rejected, and no code handles it');
  };
  process.on('unhandledRejection', note);
  return () => void process.off('unhandledRejection', note);
}
