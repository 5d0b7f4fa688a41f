import { type Client, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Artifact } from '../../pipelines/artifact.js';
import { isErrorCode } from '../../pipelines/errors.js';
import type { Placement, RunResult } from '../../pipelines/run/index.js';
import { type Outcome, within } from './outcome.js';
import { textMark } from './run-mark.js';
import { sixStages } from './six-stages.js';

export interface RunToStart {
  readonly number: number;
  readonly workflowId: string;
  readonly speech: Artifact;
  /** Address of its side effects' receiver. */
  readonly receiver: string;
  readonly queue: string;
  readonly placement: Placement;
  readonly tenant: string;
}

interface Output {
  readonly text: string;
  readonly spoken: Artifact;
  readonly archived: Artifact;
}

/** Starts a run of six stages and waits for its end. */
export async function carryOut(client: Client, run: RunToStart): Promise<Outcome> {
  const { number, workflowId, speech, receiver, queue, placement, tenant } = run;
  const began = Date.now();
  const handle = await client.workflow.start(sixStages.name, {
    taskQueue: queue,
    workflowId,
    args: [
      { run: number, receiver, speech: { ...speech } },
      { plan: sixStages.plan, placement, tenant },
    ],
  });
  return await within(async () => {
    try {
      const result = (await handle.result()) as RunResult;
      const { text, spoken, archived } = result.output as unknown as Output;
      const own = text.startsWith(`${textMark(number)},`) && archived.sha256 === spoken.sha256;
      return own
        ? { kind: 'succeeded', ms: Date.now() - began, at: Date.now() }
        : { kind: 'lost', message: `another result: ${JSON.stringify(result.output)}` };
    } catch (error) {
      return failureOf(error, Date.now() - began);
    }
  });
}

function failureOf(error: unknown, ms: number): Outcome {
  if (error instanceof WorkflowNotFoundError) return { kind: 'lost', message: 'unknown to Temporal' };
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
