import type { StageEvent } from '../../pipelines/run/index.js';
import type { At, Run } from './state.js';

/** Publishes what only the interpreter sees, if the run may be followed. */
export function publish({ context }: Pick<Run, 'context'>, { host }: Pick<At, 'host'>, event: StageEvent): void {
  if (context.events) host.publish?.(event, context.events);
}
