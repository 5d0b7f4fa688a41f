import type { OnLeave, Pipeline } from '../pipelines/definition/index.js';
import { hasEffects } from '../pipelines/plan/effects.js';

/** What says whether a run ends with its caller. */
export interface Leavable {
  readonly pipeline: Pick<Pipeline, 'plan' | 'onLeave'>;
  /** The caller can send the request again under its key. */
  readonly idempotencyKey?: string | undefined;
  /** Stated by the request. */
  readonly onLeave?: OnLeave | undefined;
}

/**
 * What happens to a run whose caller leaves without its result, at a door where the response is the way to it: what the
 * request states, `continue` with an idempotency key, what the pipeline states, else `continue` if it has effects.
 */
export function onLeaveOf({ pipeline, idempotencyKey, onLeave }: Leavable): OnLeave {
  if (onLeave !== undefined) return onLeave;
  if (idempotencyKey !== undefined) return 'continue';
  return pipeline.onLeave ?? (hasEffects(pipeline.plan) ? 'continue' : 'cancel');
}

/** Whether the request or the pipeline states that the run ends with its caller; at doors that give out the run's id. */
export const endsWithCaller = ({ pipeline, onLeave }: Leavable): boolean => (onLeave ?? pipeline.onLeave) === 'cancel';

/** Reason of an abort when the caller has asked for the end of its run: it is cancelled, whatever happens to runs on leaving. */
export class CancelledByCaller extends Error {
  constructor() {
    super('the caller has cancelled');
  }
}
