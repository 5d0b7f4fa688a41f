import type { RunPage, RunStatus } from '../../pipelines/run/document.js';
import type { Caller } from '../caller.js';

/** Which runs are wanted. Absent: any. */
export interface RunFilters {
  /** The pipeline's name. */
  readonly pipeline?: string;
  /** Names of pipelines, one of which it must be. */
  readonly pipelines?: readonly string[];
  /** Version of the plan. */
  readonly version?: string;
  readonly status?: RunStatus;
  /** What the run's id begins with. */
  readonly id?: string;
  /** Started then or later: ISO 8601, UTC. */
  readonly from?: string;
  /** Started before: ISO 8601, UTC. */
  readonly to?: string;
}

export interface ListRequest {
  readonly filters: RunFilters;
  /** Most runs of the page, from 1 to 100. */
  readonly limit: number;
  /** `nextCursor` of the page before, which had the same filters. Absent: from the beginning. */
  readonly cursor?: string;
}

/** Where runs are looked for. */
export interface RunList {
  /**
   * A page of the runs that the caller may know of: of its tenant and of the pipelines that it may use. Those that go on come
   * first, the latest start first; then those that have ended, the latest end first. Throws `INVALID_INPUT` for a cursor that is
   * not of this list, `RATE_LIMITED` and `ORCHESTRATOR_UNAVAILABLE`.
   */
  page(caller: Caller, request: ListRequest): Promise<RunPage>;
  /** Counts another question to what has the runs, as a page is counted. Throws `RATE_LIMITED`. Absent: they are not limited. */
  turn?(tenant: string): Promise<void>;
}
