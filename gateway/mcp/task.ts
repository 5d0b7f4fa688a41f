import type { RunDocument, RunSummary } from '../../pipelines/run/document.js';
import type { Caller } from '../access/caller.js';
import { holds } from '../access/caller.js';
import { formOf } from './ask.js';

/** The extension of version 2026-07-28 (SEP-2663). */
export const TASKS = 'io.modelcontextprotocol/tasks';
/** Which task a message of version 2025-11-25 is about. */
export const RELATED_TASK = 'io.modelcontextprotocol/related-task';

/** How often a client should ask, in milliseconds. */
const POLL_MS = 1_000;

/** A run as a task of either version; how long it is kept is Temporal’s retention, which is not stated. */
type Run = RunSummary & Pick<RunDocument, 'waiting' | 'error'>;

const times = ({ createdAt, endedAt, waiting = [] }: Run) => ({
  createdAt,
  lastUpdatedAt:
    endedAt ??
    waiting
      .map(({ since }) => since)
      .sort()
      .at(-1) ??
    createdAt,
});

/** A run as a task of version 2025-11-25. */
export const oldTask = (run: Run) => ({
  taskId: run.id,
  status: run.status === 'succeeded' ? ('completed' as const) : run.status === 'running' ? open(run) : run.status,
  ...(run.error && { statusMessage: `${run.error.code}: ${run.error.message}` }),
  ...times(run),
  ttl: null,
  pollInterval: POLL_MS,
});

/** A run as a task of the extension: one that failed is complete, its result has `isError`. */
export const task = (run: Run) => ({
  taskId: run.id,
  status: run.status === 'running' ? open(run) : run.status === 'cancelled' ? run.status : endOf(run),
  ...times(run),
  ttlMs: null,
  pollIntervalMs: POLL_MS,
});

const open = ({ waiting = [] }: Run) => (waiting.length > 0 ? ('input_required' as const) : ('working' as const));

/** A fault of Millrace is the protocol’s failure; a run’s error is a result. */
const endOf = ({ error }: Run) => (error?.code === 'INTERNAL' ? ('failed' as const) : ('completed' as const));

/** The run as its caller may see it: one who may not decide is not asked. */
export const seenBy = (caller: Caller, run: RunDocument): RunDocument =>
  holds(caller, 'approve') ? run : { ...run, waiting: [] };

/** The questions of a task, by the nonce of each wait. */
export const requestsOf = (waits: NonNullable<RunDocument['waiting']>) =>
  Object.fromEntries(waits.map((wait) => [wait.nonce, formOf(wait)]));
