import type { Client } from '@temporalio/client';
import type { Registry } from 'prom-client';
import type { WebhookConfig } from '../activities/webhooks/index.js';
import type { Plan } from '../pipelines/plan/index.js';
import type { Placement } from '../pipelines/run/index.js';
import type { Answers } from '../stores/answers/index.js';
import type { RunEventReader } from '../stores/events/index.js';
import type { FastJobs } from '../stores/jobs/index.js';
import type { ResumableRecords } from '../stores/records/index.js';
import type { Logger } from '../telemetry/logger.js';
import type { Applicant } from './admission/admission.js';
import type { EndingRun, RunEnd } from './outcome.js';

/** What starting, following and reading runs takes from outside; whoever composes it owns and closes these. */
export interface RunParts {
  /** Which runs may start. Absent: all. */
  readonly admission?: { admit(applicant: Applicant): Promise<() => void> };
  /** Where a run's stages will run. Throws `MODEL_NOT_CONFIGURED`. */
  placementOf(plan: Plan): Placement;
  readonly temporal: Client;
  /** Task queue of the workflows. */
  readonly taskQueue: string;
  /** The shortcut for results of which somebody waits; absent, they come from Temporal. */
  readonly answers?: Pick<Answers, 'channel' | 'expect' | 'outcome'>;
  /** Absent: every run goes through Temporal. */
  readonly fast?: FastPath | undefined;
  /** The record of runs, from which those that have failed are resumed. Absent: none is. */
  readonly records?: ResumableRecords;
  /** What running stages tell. */
  readonly events: Pick<RunEventReader, 'follow'>;
  /** Who is told of runs' ends; absent, nobody. */
  readonly webhooks?: WebhookConfig;
  readonly limits: RunLimits;
  /** The page of a run in the Temporal UI. `runId` is Temporal's, one execution of the workflow; without it, the latest. */
  uiUrl(workflowId: string, runId?: string): string;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** The way past Temporal for runs of which somebody waits; the workflow guards them. */
export type FastPath = Pick<FastJobs, 'put' | 'takeBack' | 'revoke' | 'done'>;

/** What the functions of this room work with. */
export interface RunDeps extends RunParts {
  /** Where all learn that a run has ended. */
  readonly ends: { of(run: EndingRun, signal: AbortSignal): Promise<RunEnd | undefined> };
  /** Of requests that wait for a run or follow it. */
  readonly places: { take(tenant: string): () => void };
}

export interface RunLimits {
  /** Requests that wait for a run or follow it at once, of all callers. Absent: 4,000. */
  readonly maxStreams?: number;
  /** The same of one tenant. Absent: 1,000. */
  readonly maxStreamsOfTenant?: number;
  /** Long polls of Temporal at once, for the ends of runs. Absent: 256. */
  readonly longPolls?: number;
}
