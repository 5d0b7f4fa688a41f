import type { Client } from '@temporalio/client';
import type { Registry } from 'prom-client';
import type { WebhookConfig } from '../activities/webhooks/index.js';
import type { Plan } from '../pipelines/plan/index.js';
import type { Placement } from '../pipelines/run/index.js';
import type { Answers, SentResults } from '../stores/answers/index.js';
import type { RunErasure } from '../stores/erasure/index.js';
import type { RunEventReader } from '../stores/events/index.js';
import type { FastJobs } from '../stores/jobs/index.js';
import type { ResumableRecords } from '../stores/records/index.js';
import type { LatestRuns } from '../stores/retries/index.js';
import type { Subscriptions } from '../stores/subscriptions/index.js';
import type { Logger } from '../telemetry/logger.js';
import type { Applicant, Leave } from './admission/admission.js';
import type { RunList } from './list/run-list.js';
import type { EndingRun, RunEnd } from './outcome.js';
import type { RunStarts } from './run-starts.js';

/** Dependencies of starting, following and reading runs. The composition root owns and closes them. */
export interface RunParts {
  /** Admission control. Absent: every run may start. */
  readonly admission?: { admit(applicant: Applicant): Promise<Leave> };
  /** Assigns a plan's stages to connectors, devices and task queues. Throws `MODEL_NOT_CONFIGURED`. */
  placementOf(plan: Plan): Placement;
  readonly temporal: Client;
  /** Task queue of the workflows. */
  readonly taskQueue: string;
  /** Receives results of waited runs directly from workers. Absent: results are read from Temporal. */
  readonly answers?: Pick<Answers, 'channel' | 'expect' | 'outcome'>;
  /** The runs whose results have been sent ahead of Temporal's record. Absent: it is not known of which this is so. */
  readonly sentResults?: SentResults;
  /** Absent: the fast path is off. */
  readonly fast?: FastPath | undefined;
  /** Run records, from which failed runs are resumed. Absent: runs cannot be resumed. */
  readonly records?: ResumableRecords;
  /** Erases journals and channels. Absent: those of an erased run stay until they expire. */
  readonly erasure?: Pick<RunErasure, 'erase'>;
  /**
   * The runs of the latest of equal requests, for their retries. Absent: a retry gets the run of the first of equal
   * requests.
   */
  readonly latest?: LatestRuns;
  /** Where runs are looked up. Absent: Temporal's visibility. */
  readonly list?: RunList;
  /** Events of running stages. */
  readonly events: Pick<RunEventReader, 'follow'> & Partial<Pick<RunEventReader, 'erase'>>;
  /** Webhook receivers of run events. Absent: none. */
  readonly webhooks?: WebhookConfig;
  /** Who has subscribed to a run while it is under way. Absent: nobody can. */
  readonly subscriptions?: Subscriptions;
  readonly limits: RunLimits;
  /** URL of a run in the Temporal UI. `runId` selects one execution of the workflow; default: the latest. */
  uiUrl(workflowId: string, runId?: string): string;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Queue of jobs for fast hosts. */
export type FastPath = Pick<FastJobs, 'put' | 'takeBack' | 'revoke' | 'done'>;

/** Dependencies of the functions in this folder. */
export interface RunDeps extends RunParts {
  readonly list: RunList;
  /** Shared notification of runs' ends. */
  readonly ends: { of(run: EndingRun, signal: AbortSignal): Promise<RunEnd | undefined> };
  /** Limits concurrent requests that wait for a run or follow it. */
  readonly streams: { take(tenant: string): () => void };
  readonly starts: Pick<RunStarts, 'count'>;
}

export interface RunLimits {
  /** Most concurrent requests that wait for a run or follow it. Default: 4,000. */
  readonly maxStreams?: number;
  /** The same per tenant. Default: 1,000. */
  readonly maxStreamsOfTenant?: number;
  /** Most concurrent long polls of Temporal for the ends of runs. Default: 256. */
  readonly longPolls?: number;
}
