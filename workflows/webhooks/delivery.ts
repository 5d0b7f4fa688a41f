import {
  defineSearchAttributeKey,
  TypedSearchAttributes,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  executeChild,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
} from '@temporalio/workflow';
import type { JsonObject } from '../../pipelines/json.js';
import {
  type AttemptOutcome,
  type Delivery,
  type RunToStart,
  SEARCH_ATTRIBUTES,
  WAITING_SIGNAL,
  type Wait,
  type WebhookActivities,
  type WebhookEvent,
  type WebhookOrder,
  type WebhookTarget,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../../pipelines/run/index.js';
import { takes } from '../changes.js';
import { crowdedMs, MOST_WAIT_ATTEMPTS, MOST_WAITS, SCHEDULE_MS, waitMs } from './schedule.js';

/** An attempt ends itself within 15 s (`ATTEMPT_MS`); Temporal's timeout is for a worker that hangs. */
const ATTEMPT_TIMEOUT_MS = 30_000;
/** A dead worker is detected within this time. */
const HEARTBEAT_TIMEOUT_MS = 5_000;
/** A worker's death or an outage of Temporal is not an attempt: it is retried until it succeeds. */
const INFRASTRUCTURE_RETRY = { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 60_000 };

/**
 * Sends the end of a run to every target, and before it the waits for a person that the run signals. It starts the run as its child, so that
 * one start creates both or neither, and Temporal reports the child's end whether the run succeeded, failed, timed out, was cancelled or was
 * terminated. Each target has its own attempts. Fails with `WEBHOOK_UNDELIVERED` if one of them did not accept the event of the end; those
 * of waits are attempted until the wait or the run has ended, within `MOST_WAIT_ATTEMPTS`.
 */
export async function webhookDelivery({ tenant, targets, queue, of }: WebhookOrder): Promise<readonly Delivery[]> {
  const waits: Promise<unknown>[] = [];
  let over = false;
  let attempts = 0;
  const send = (event: WebhookEvent, report: (rows: readonly Delivery[]) => void, isOver?: () => boolean) => {
    const wanted = targets.filter((target) => !('events' in target) || (target.events?.includes(event.type) ?? true));
    const rows: Delivery[] = wanted.map((target) => ({ target: nameOf(target), state: 'waiting', attempts: 0 }));
    return Promise.all(
      wanted.map((target, i) => {
        const attempt = (summary: string) => {
          if (isOver) attempts += 1;
          return activities(queue, summary).webhookAttempt(tenant, target, event);
        };
        const onRow = (row: Delivery) => {
          rows[i] = row;
          report(rows);
        };
        return deliver(attempt, nameOf(target), event, onRow, isOver);
      }),
    );
  };
  if ('run' in of) {
    setHandler(waitingSignal, (wait) => {
      if (waits.length >= MOST_WAITS || !takes('waits-are-told')) return;
      const event = waitingEvent(of.run, tenant, wait);
      const untilMs = Date.parse(wait.until);
      const isOver = () => over || attempts >= MOST_WAIT_ATTEMPTS || Date.now() >= untilMs;
      waits.push(send(event, ignored, isOver));
    });
    if (!(await toItsEnd(of.run, tenant))) return [];
  }
  over = true;
  const event = 'event' in of ? of.event : await activities(queue, of.run.id).webhookEvent(tenant, of.run.id);
  const deliveries = await send(event, (rows) => setCurrentDetails(table(event, rows)));
  await Promise.all(waits);
  const undelivered = deliveries.filter(({ state }) => state === 'undelivered');
  if (undelivered.length === 0) return deliveries;
  throw ApplicationFailure.create({
    type: 'WEBHOOK_UNDELIVERED',
    message: undelivered.map(({ target, reason }) => `${target}: ${reason}`).join('; '),
    nonRetryable: true,
    details: [deliveries],
  });
}

const ignored = (): undefined => undefined;

const waitingSignal = defineSignal<[Wait]>(WAITING_SIGNAL);

/** The event of a wait: what the start of its run has, and the wait. */
const waitingEvent = ({ id, pipeline, version, memo }: RunToStart, tenant: string, wait: Wait): WebhookEvent => ({
  id: `msg_${id}_${wait.nonce}`,
  type: 'run.waiting',
  timestamp: wait.since,
  data: {
    ...{ id, pipeline, version, tenant, status: 'running' },
    ...(memo.createdAt !== undefined && { createdAt: memo.createdAt }),
    waiting: [wait as unknown as JsonObject],
    links: { self: `/v1/runs/${id}` },
  },
});

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

/**
 * Makes attempts on schedule until the target accepts the event.
 * @param isOver no further attempt is worth it
 */
async function deliver(
  attempt: (summary: string) => Promise<AttemptOutcome>,
  target: string,
  event: WebhookEvent,
  report: (row: Delivery) => void,
  isOver?: () => boolean,
): Promise<Delivery> {
  let row: Delivery = { target, state: 'waiting', attempts: 0 };
  let requestedMs: number | undefined;
  for (const [i, scheduledMs] of SCHEDULE_MS.entries()) {
    const pauseMs = waitMs(scheduledMs, requestedMs, Math.random());
    if (pauseMs > 0 && isOver && (await condition(isOver, pauseMs))) break;
    if (pauseMs > 0 && !isOver) await sleep(pauseMs, { summary: `${target} · attempt ${i + 1}` });
    if (isOver?.()) break;
    const done = await withRoom(() => attempt(`${event.type} → ${target} · attempt ${i + 1}`), target, isOver);
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
async function withRoom(attempt: () => Promise<AttemptOutcome>, target: string, isOver?: () => boolean) {
  for (let times = 0; ; times++) {
    const done = await attempt();
    if (done.outcome !== 'busy' || isOver?.()) return done;
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
