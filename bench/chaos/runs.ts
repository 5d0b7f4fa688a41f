import { type Client, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Artifact } from '../../pipelines/artifact.js';
import { isErrorCode } from '../../pipelines/errors.js';
import type { Placement, RunResult } from '../../pipelines/plan/index.js';
import { sixStages } from './pipelines.js';
import { textMark } from './run-mark.js';

/**
 * How much later than its deadline a run may end: a worker that is killed at the deadline holds the workflow task for the
 * ten seconds of its timeout, and the next takes it up, replays and may lose it once more.
 */
const SLACK_MS = 30_000;
export const LIMIT_MS = sixStages.plan.deadlineMs + SLACK_MS;

/** How a run ended. `lost`: with neither a result nor a code, or with another result than its own; `hung`: not in time. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly ms: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly ms: number }
  | { readonly kind: 'lost' | 'hung'; readonly message: string };

export interface RunToStart {
  readonly number: number;
  readonly workflowId: string;
  readonly speech: Artifact;
  /** The file in which code stages record their starts. */
  readonly log: string;
  readonly queue: string;
  readonly placement: Placement;
  readonly tenant: string;
}

interface Output {
  readonly text: string;
  readonly spoken: Artifact;
  readonly archived: Artifact;
}

/** Starts a run and waits for its end. */
export async function carryOut(client: Client, run: RunToStart): Promise<Outcome> {
  const { number, workflowId, speech, log, queue, placement, tenant } = run;
  const began = Date.now();
  const handle = await client.workflow.start(sixStages.name, {
    taskQueue: queue,
    workflowId,
    args: [
      { run: number, log, speech: { ...speech } },
      { plan: sixStages.plan, placement, tenant },
    ],
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), LIMIT_MS);
  });
  try {
    const result = (await Promise.race([handle.result(), late])) as RunResult | 'late';
    const ms = Date.now() - began;
    if (result === 'late') return { kind: 'hung', message: `not ended ${LIMIT_MS} ms after its start` };
    const { text, spoken, archived } = result.output as unknown as Output;
    const own = text.startsWith(`${textMark(number)},`) && archived.sha256 === spoken.sha256;
    return own
      ? { kind: 'succeeded', ms }
      : { kind: 'lost', message: `another result: ${JSON.stringify(result.output)}` };
  } catch (error) {
    return failureOf(error, Date.now() - began);
  } finally {
    clearTimeout(timer);
  }
}

function failureOf(error: unknown, ms: number): Outcome {
  if (error instanceof WorkflowNotFoundError) return { kind: 'lost', message: 'Temporal does not know it' };
  if (!(error instanceof WorkflowFailedError)) return { kind: 'lost', message: String(error) };
  const { cause } = error;
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) {
    return { kind: 'failed', code: cause.type, message: cause.message, ms };
  }
  return { kind: 'lost', message: `ended without a code: ${String(cause ?? error)}` };
}

/** When Temporal recorded the end of each queued stage of a run, in milliseconds since 1970, by stage. */
export async function completedStages(client: Client, workflowId: string): Promise<Map<string, number>> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const names = new Map<string, string>();
  const completed = new Map<string, number>();
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (scheduled) names.set(String(event.eventId), scheduled);
    const from = event.activityTaskCompletedEventAttributes?.scheduledEventId;
    const name = names.get(String(from));
    if (name !== undefined)
      completed.set(name, Number(event.eventTime?.seconds) * 1_000 + (event.eventTime?.nanos ?? 0) / 1e6);
  }
  return completed;
}
