import {
  defineSearchAttributeKey,
  TypedSearchAttributes,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  executeChild,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  sleep,
} from '@temporalio/workflow';
import {
  type AttemptOutcome,
  type Delivery,
  type RunToStart,
  SEARCH_ATTRIBUTES,
  type WebhookActivities,
  type WebhookEvent,
  type WebhookOrder,
  type WebhookTarget,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../../pipelines/run/index.js';
import { crowdedMs, SCHEDULE_MS, waitMs } from './schedule.js';

/** An attempt ends itself within 15 s (`ATTEMPT_MS`); Temporal's timeout is for a worker that hangs. */
const ATTEMPT_TIMEOUT_MS = 30_000;
/** A dead worker is detected within this time. */
const HEARTBEAT_TIMEOUT_MS = 5_000;
/** A worker's death or an outage of Temporal is not an attempt: it is retried until it succeeds. */
const INFRASTRUCTURE_RETRY = { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 60_000 };

/**
 * Sends the end of a run to every target. It starts the run as its child, so that one start creates both or neither,
 * and Temporal reports the child's end whether the run succeeded, failed, timed out, was cancelled or was terminated.
 * Each target has its own attempts. Fails with `WEBHOOK_UNDELIVERED` if one of them did not accept the event.
 */
export async function webhookDelivery({ tenant, targets, queue, of }: WebhookOrder): Promise<readonly Delivery[]> {
  if ('run' in of && !(await toItsEnd(of.run, tenant))) return [];
  const event = 'event' in of ? of.event : await activities(queue, of.run.id).webhookEvent(tenant, of.run.id);
  const rows: Delivery[] = targets.map((target) => ({ target: nameOf(target), state: 'waiting', attempts: 0 }));
  const deliveries = await Promise.all(
    targets.map((target, i) =>
      deliver(
        (summary) => activities(queue, summary).webhookAttempt(tenant, target, event),
        nameOf(target),
        event,
        (row) => {
          rows[i] = row;
          setCurrentDetails(table(event, rows));
        },
      ),
    ),
  );
  const undelivered = deliveries.filter(({ state }) => state === 'undelivered');
  if (undelivered.length === 0) return deliveries;
  throw ApplicationFailure.create({
    type: 'WEBHOOK_UNDELIVERED',
    message: undelivered.map(({ target, reason }) => `${target}: ${reason}`).join('; '),
    nonRetryable: true,
    details: [deliveries],
  });
}

/** Starts the run and waits for its end. False if the run had already been started without this delivery. */
async function toItsEnd(order: RunToStart, tenant: string) {
  const { id, pipeline, version, args, memo, timeoutMs, summary, details, priorityKey } = order;
  const key = (name: string) => defineSearchAttributeKey(name, 'KEYWORD');
  const run = () =>
    executeChild(pipeline, {
      workflowId: id,
      args: [...args],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      // The run belongs to its caller and continues if the delivery is stopped.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowRunTimeout: timeoutMs,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
      ...(priorityKey !== undefined && { priority: { priorityKey } }),
      memo: { ...memo },
      typedSearchAttributes: new TypedSearchAttributes([
        { key: key(SEARCH_ATTRIBUTES.pipeline), value: pipeline },
        { key: key(SEARCH_ATTRIBUTES.version), value: version },
        { key: key(SEARCH_ATTRIBUTES.tenant), value: tenant },
      ]),
      staticSummary: summary,
      ...(details !== undefined && { staticDetails: details }),
    });
  try {
    await CancellationScope.nonCancellable(run);
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    // However the run ended, the event reports it.
  }
  return true;
}

/** Makes attempts on schedule until the target accepts the event. */
async function deliver(
  attempt: (summary: string) => Promise<AttemptOutcome>,
  target: string,
  event: WebhookEvent,
  report: (row: Delivery) => void,
): Promise<Delivery> {
  let row: Delivery = { target, state: 'waiting', attempts: 0 };
  let requestedMs: number | undefined;
  for (const [i, scheduledMs] of SCHEDULE_MS.entries()) {
    const pauseMs = waitMs(scheduledMs, requestedMs, Math.random());
    if (pauseMs > 0) await sleep(pauseMs, { summary: `${target} · attempt ${i + 1}` });
    const done = await withRoom(() => attempt(`${event.type} → ${target} · attempt ${i + 1}`), target);
    const { outcome, ...seen } = done;
    const state = outcome === 'delivered' ? outcome : outcome === 'refused' ? 'undelivered' : 'waiting';
    row = { target, state, attempts: i + 1, ...seen };
    report(row);
    if (state !== 'waiting') return row;
    requestedMs = done.outcome === 'failed' ? done.retryAfterMs : undefined;
  }
  row = { ...row, state: 'undelivered' };
  report(row);
  return row;
}

/** A crowded target has not failed: it costs time, not an attempt. */
async function withRoom(attempt: () => Promise<AttemptOutcome>, target: string) {
  for (let times = 0; ; times++) {
    const done = await attempt();
    if (done.outcome !== 'busy') return done;
    await sleep(crowdedMs(times, Math.random()), { summary: `${target} · waits for room` });
  }
}

const activities = (taskQueue: string, summary: string): WebhookActivities =>
  proxyActivities<WebhookActivities>({
    taskQueue,
    startToCloseTimeout: ATTEMPT_TIMEOUT_MS,
    heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
    retry: INFRASTRUCTURE_RETRY,
    summary,
  });

/** Displayable name of a target: the rest of a URL may contain a token. */
const nameOf = (target: WebhookTarget): string => ('endpoint' in target ? target.endpoint : hostOf(target.url));

const hostOf = (url: string): string => /^[a-z]+:\/\/([^/?#]+)/i.exec(url)?.[1] ?? url;

function table({ id, type }: WebhookEvent, rows: readonly Delivery[]): string {
  const cells = rows.map(({ target, state, attempts, status, reason }) =>
    [target, state, attempts, status ?? '', (reason ?? '').replaceAll('|', '\\|')].join(' | '),
  );
  return [
    `\`${type}\` · \`${id}\``,
    '',
    '| target | state | attempts | status | reason |',
    '| --- | --- | --- | --- | --- |',
    ...cells.map((row) => `| ${row} |`),
  ].join('\n');
}
