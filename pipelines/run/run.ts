import type { JsonObject } from '../json.js';
import type { StageRecord } from './stage-record.js';

/** What the workflow returns. */
export interface RunResult {
  readonly output: JsonObject;
  readonly stages: readonly StageRecord[];
}

/** Second argument of the activity that returns which of some queues the worker serves. */
export interface ServingCall {
  readonly serving: { readonly queues: readonly string[]; readonly code: string };
}

/**
 * Timeout of a run's workflow tasks, in milliseconds; Temporal's default is 10 s. When a worker dies, another continues
 * its segments after this time. A running segment keeps its task open until 0.8 of it, then handles other events.
 */
export const WORKFLOW_TASK_TIMEOUT_MS = 3_000;

/** What each local activity with a large result is told of the workflow that calls it. */
export interface TaskTime {
  /** Timeout of the run's workflow tasks, in milliseconds, if it is not `WORKFLOW_TASK_TIMEOUT_MS`: another client has started the run. */
  readonly taskMs?: number;
}

/**
 * Start delay of a guardian, in milliseconds: if its fast host dies immediately, the run continues after this time. The
 * same as for a worker that dies in a segment.
 */
export const GUARDIAN_DELAY_MS = 3_000;

/** Names of the Temporal search attributes of a run. */
export const SEARCH_ATTRIBUTES = {
  pipeline: 'MillracePipeline',
  version: 'MillraceVersion',
  tenant: 'MillraceTenant',
  cacheHit: 'MillraceCacheHit',
} as const;

/** Query that returns the live `StageRecord[]`. */
export const STAGES_QUERY = 'stages';
