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
  getExternalWorkflowHandle,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
  upsertMemo,
} from '@temporalio/workflow';
import type { JsonObject } from '../../pipelines/json.js';
import {
  type AttemptOutcome,
  CANCEL_SIGNAL,
  CANCELLED_MEMO,
  CANCELLED_UNSTARTED,
  type Delivery,
  fittingWait,
  type NamedTarget,
  type RunToStart,
  SEARCH_ATTRIBUTES,
  WAITING_SIGNAL,
  type Wait,
  type WebhookActivities,
  type WebhookEvent,
  type WebhookOrder,
  type WebhookReceiver,
  type WebhookTarget,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../../pipelines/run/index.js';
import { takes } from '../changes.js';
import { crowdedMs, MOST_TOLD_BYTES, MOST_WAITS, SCHEDULE_MS, waitMs } from './schedule.js';
import { WaitAttempts } from './wait-attempts.js';

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
 * of waits are attempted until the wait or the run has ended, within `MOST_WAIT_ATTEMPTS`. Who has subscribed to the run is looked up for each
 * event. A run that is cancelled before it is started is never started.
 */
export async function webhookDelivery({ tenant, targets, queue, of }: WebhookOrder): Promise<readonly Delivery[]> {
  const waits: Promise<unknown>[] = [];
  let over = false;
  const attempts = new WaitAttempts();
  const named = targets.filter(isNamed);
  /** Undefined: nobody can subscribe. */
  const subscribersTo = (run: string, told: 'all' | 'waits') => {
    if (named.length === targets.length) return undefined;
    const ask = () => activities(queue, 'subscribers').webhookSubscribers(tenant, run, told);
    return told === 'all' ? ask() : attempts.begin(ask);
  };
  const send = (
    event: WebhookEvent,
    subscribers: ReturnType<typeof subscribersTo>,
    report: (rows: readonly Delivery[]) => void,
    isOver?: () => boolean,
  ) => {
    const rows: Delivery[] = [];
    const deliverTo = (receivers: readonly WebhookReceiver[]) => {
      const first = rows.length;
      for (const each of receivers) rows.push({ target: nameOf(each), state: 'waiting', attempts: 0 });
      return Promise.all(
        receivers.map((receiver, i) => {
          const attempt = (summary: string) => {
            const make = () => activities(queue, summary).webhookAttempt(tenant, receiver, event);
            return isOver ? attempts.make(make, isOver) : make();
          };
          const onRow = (row: Delivery) => {
            rows[first + i] = row;
            report(rows);
          };
          return deliver(attempt, nameOf(receiver), event, onRow, isOver);
        }),
      );
    };
    const delivered = deliverTo(named.filter((each) => wants(each, event)));
    // Endpoints do not wait for the state store. A delivery without subscriptions commands what it did before there were any.
    return subscribers === undefined ? delivered : bothOf(delivered, subscribers.then(deliverTo));
  };
  let unstarted: WebhookEvent | undefined;
  if ('run' in of) {
    const start = new Start(of.run.id);
    setHandler(cancelSignal, () => start.cancel());
    setHandler(waitingSignal, (wait) => {
      if (waits.length >= MOST_WAITS || !takes('waits-are-told')) return;
      const event = waitingEvent(of.run, tenant, wait);
      const untilMs = Date.parse(wait.until);
      const isOver = () => over || attempts.usedUp || Date.now() >= untilMs;
      waits.push(handled(send(event, subscribersTo(of.run.id, 'waits'), ignored, isOver)));
    });
    if (await start.isCalledOff()) unstarted = calledOff(of.run, tenant);
    else if (!(await toItsEnd(of.run, tenant, start))) return [];
  }
  over = true;
  const subscribed = 'run' in of ? subscribersTo(of.run.id, 'all') : undefined;
  const all = subscribed && handled(subscribed);
  if (all !== undefined && named.length === 0 && (await all).length === 0) return [];
  const event =
    'event' in of ? of.event : (unstarted ?? (await activities(queue, of.run.id).webhookEvent(tenant, of.run.id)));
  const deliveries = await send(event, all, (rows) => setCurrentDetails(table(event, rows)));
  await Promise.all(waits);
  if (all !== undefined && 'run' in of && (await all).length > 0)
    await activities(queue, 'subscriptions end').webhookUnsubscribe(tenant, of.run.id);
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

/** What is awaited later: if the delivery is stopped before, the rejection would fail its workflow task, again and again. */
function handled<T>(work: Promise<T>): Promise<T> {
  work.catch(ignored);
  return work;
}

const isNamed = (target: WebhookTarget): target is NamedTarget => !('subscriptions' in target);

const wants = (target: NamedTarget, { type }: WebhookEvent): boolean =>
  !('events' in target) || (target.events?.includes(type) ?? true);

const bothOf = async (some: Promise<Delivery[]>, others: Promise<Delivery[]>): Promise<Delivery[]> =>
  (await Promise.all([some, others])).flat();

const waitingSignal = defineSignal<[Wait]>(WAITING_SIGNAL);
const cancelSignal = defineSignal(CANCEL_SIGNAL);

/** The start of a run, which may be called off until it is made; after that the run is cancelled as any other. */
class Start {
  readonly #id: string;
  #cancelled = false;
  #made = false;

  constructor(id: string) {
    this.#id = id;
  }

  /** A signal in the first task is handled after the workflow's first steps: at the second check it has arrived. */
  async isCalledOff(): Promise<boolean> {
    let checks = 0;
    await condition(() => this.#cancelled || checks++ > 0);
    return this.#cancelled;
  }

  /** Temporal has the run. */
  made(): void {
    this.#made = true;
    if (this.#cancelled) this.#cancelRun();
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    if (this.#made) this.#cancelRun();
  }

  /** A run that has ended meanwhile stays as it is. */
  #cancelRun(): void {
    CancellationScope.nonCancellable(() => getExternalWorkflowHandle(this.#id).cancel()).catch(() => undefined);
  }
}

/** The event of a run that is never started, for its receivers and, by the memo, for those who ask for the run. */
function calledOff({ id, pipeline, version, memo }: RunToStart, tenant: string): WebhookEvent {
  const now = new Date(Date.now()).toISOString();
  upsertMemo({ [CANCELLED_MEMO]: now });
  return {
    id: `msg_${id}`,
    type: 'run.cancelled',
    timestamp: now,
    data: {
      ...{ id, pipeline, version, tenant, status: 'cancelled' },
      ...(memo.createdAt !== undefined && { createdAt: memo.createdAt }),
      endedAt: now,
      error: { ...CANCELLED_UNSTARTED },
      links: { self: `/v1/runs/${id}` },
    },
  };
}

/** The event of a wait: what the start of its run has, and the wait. */
const waitingEvent = ({ id, pipeline, version, memo }: RunToStart, tenant: string, wait: Wait): WebhookEvent => ({
  id: `msg_${id}_${wait.nonce}`,
  type: 'run.waiting',
  timestamp: wait.since,
  data: {
    ...{ id, pipeline, version, tenant, status: 'running' },
    ...(memo.createdAt !== undefined && { createdAt: memo.createdAt }),
    waiting: [fittingWait(wait, MOST_TOLD_BYTES) as unknown as JsonObject],
    links: { self: `/v1/runs/${id}` },
  },
});

/** Starts the run and waits for its end. False if the run had already been started without this delivery. */
async function toItsEnd(order: RunToStart, tenant: string, start: Start) {
  const { id, pipeline, version, args, memo, timeoutMs, summary, details, priorityKey } = order;
  const key = (name: string) => defineSearchAttributeKey(name, 'KEYWORD');
  const run = () =>
    startChild(pipeline, {
      workflowId: id,
      args: [...args],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      // The run belongs to its caller and continues if the delivery is stopped.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowRunTimeout: timeoutMs,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT_MS,
      priority: { fairnessKey: tenant, ...(priorityKey !== undefined && { priorityKey }) },
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
    await CancellationScope.nonCancellable(async () => {
      const child = await run();
      start.made();
      await child.result();
    });
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
    const state = STATES[outcome];
    row = { target, state, attempts: i + 1, ...seen };
    report(row);
    if (state !== 'waiting') return row;
    requestedMs = done.outcome === 'failed' ? done.retryAfterMs : undefined;
  }
  row = { ...row, state: 'undelivered' };
  report(row);
  return row;
}

/** How each outcome leaves an event at a target. */
const STATES: Readonly<Record<AttemptOutcome['outcome'], Delivery['state']>> = {
  delivered: 'delivered',
  unsubscribed: 'unsubscribed',
  refused: 'undelivered',
  failed: 'waiting',
  busy: 'waiting',
};

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

/** Displayable name of a receiver: the rest of a URL may contain a token. */
function nameOf(receiver: WebhookReceiver): string {
  if ('subscription' in receiver) return receiver.host;
  return 'endpoint' in receiver ? receiver.endpoint : hostOf(receiver.url);
}

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
