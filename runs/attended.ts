import { LONGEST_TIMER_MS } from '../pipelines/duration.js';
import { MillraceError } from '../pipelines/errors.js';
import { cancelLeft } from './cancel.js';
import type { RunDeps } from './deps.js';
import { type RunDocument, runPath, withoutPlace } from './document.js';
import { failureOf } from './failed.js';
import type { Followed, FollowedRun } from './follow.js';
import { launch, launchFollowed } from './launch.js';
import { CancelledByCaller, onLeaveOf } from './leaving.js';
import type { Order } from './order.js';
import { BACKSTOP_MS, type StartedRun } from './start.js';

/** Beyond the plan's deadline, in milliseconds: Temporal's own timeout of the run, and the time to report it. */
const GRACE_MS = BACKSTOP_MS + 5_000;
/** A timer may fire so much early, in milliseconds. */
const EARLY_MS = 5;

/** How a request waits that is its caller's only way to the result. */
export interface Attendance {
  /** Aborts when the caller has disconnected or cancelled. */
  readonly gone: AbortSignal;
  /** Aborts when this process shuts down; the run continues. */
  readonly closing?: AbortSignal;
  /** Longest wait, in milliseconds. Default: until the run has ended. */
  readonly waitMs?: number | undefined;
  /** Called as soon as the run has started. */
  readonly started?: ((run: StartedRun) => void) | undefined;
  /** Whether the run goes on when the iteration over its events is ended early: its caller knows how to come back. */
  readonly kept?: (() => boolean) | undefined;
}

/**
 * Runs a pipeline and returns the run after it has succeeded. If the caller disconnects or the wait times out, the run is cancelled
 * or continues as `onLeaveOf` says; a retry of the request gets a run that continues. If Temporal cannot say how the run is, it continues. Throws
 * the run's own error, `REQUEST_ABORTED`, `DEADLINE_EXCEEDED`, and `ORCHESTRATOR_UNAVAILABLE`.
 */
export async function runAttended(deps: RunDeps, order: Order, attendance: Attendance): Promise<RunDocument> {
  const { gone, started } = attendance;
  const waitMs = waitOf(order, attendance);
  const began = performance.now();
  const { run, document } = await launch(deps, mayBeRetried(order), { waitMs, gone, started });
  if (document.status === 'succeeded') return document;
  if (document.status !== 'running') throw failureOf(withoutPlace(document));
  const isOver = gone.aborted || performance.now() - began >= waitMs - EARLY_MS;
  if (!isOver) throw notReported(run);
  await abandon(deps, order, run, gone);
  throw unended(attendance, run);
}

/**
 * As `runAttended`, with the run's events as they arrive; the last item is the run that has succeeded. Ending the iteration early
 * counts as a disconnect. Throws `GATEWAY_UNAVAILABLE` when this process shuts down first.
 */
export async function followAttended(deps: RunDeps, order: Order, attendance: Attendance): Promise<FollowedRun> {
  const { gone, closing, started } = attendance;
  const over = new AbortController();
  const signals = closing ? [gone, closing] : [gone];
  // Also where the events are never read: a timer of days would hold the input of the run as long.
  const end = () => {
    release();
    over.abort();
  };
  const timer = setTimeout(end, waitOf(order, attendance)).unref();
  const release = () => {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener('abort', end);
  };
  for (const signal of signals) signal.addEventListener('abort', end, { once: true });
  if (signals.some(({ aborted }) => aborted)) end();
  try {
    const { run, events } = await launchFollowed(deps, mayBeRetried(order), over.signal, gone);
    started?.(run);
    let hasLeft = false;
    const leave = () => {
      if (!hasLeft) void abandon(deps, order, run, gone);
      hasLeft = true;
    };
    // At once, not when the events are read next: they may never be.
    gone.addEventListener('abort', leave, { once: true });
    if (gone.aborted) leave();
    const done = () => {
      release();
      gone.removeEventListener('abort', leave);
    };
    return { run, events: toItsEnd(attendance, { run, events, leave, done }) };
  } catch (error) {
    release();
    throw error;
  }
}

interface Attended extends FollowedRun {
  /** Has the run cancelled, once, unless it outlives its caller; nobody waits for that. */
  leave(): void;
  /** Stops listening to signals. */
  done(): void;
}

async function* toItsEnd(attendance: Attendance, { run, events, leave, done }: Attended): AsyncGenerator<Followed> {
  let ended = false;
  let isUnknown = false;
  try {
    for await (const each of events) {
      if ('document' in each) {
        ended = true;
        if (each.document.status !== 'succeeded') throw failureOf(withoutPlace(each.document));
      }
      yield each;
    }
    if (!ended) throw unended(attendance, run);
  } catch (error) {
    // Temporal cannot say whether it has ended.
    isUnknown = error instanceof MillraceError && error.code === 'ORCHESTRATOR_UNAVAILABLE';
    throw error;
  } finally {
    done();
    const goesOn = (isUnknown || attendance.closing?.aborted) && !attendance.gone.aborted;
    if (!ended && !goesOn && !attendance.kept?.()) leave();
  }
}

/** The wait of a request: no longer than the run can take, nor than a timer, which fires at once above its maximum. */
const waitOf = ({ pipeline }: Order, { waitMs = Number.POSITIVE_INFINITY }: Attendance): number =>
  Math.min(waitMs, pipeline.plan.deadlineMs + GRACE_MS, LONGEST_TIMER_MS);

function unended({ gone, closing }: Attendance, { id }: StartedRun): MillraceError {
  if (gone.aborted) return new MillraceError('REQUEST_ABORTED', 'the caller left before the run had ended');
  if (closing?.aborted) {
    const message = `this gateway is shutting down; the run continues: ${runPath(id)}`;
    return new MillraceError('GATEWAY_UNAVAILABLE', message);
  }
  return new MillraceError('DEADLINE_EXCEEDED', 'the run did not end within the time given');
}

function notReported({ id }: StartedRun): MillraceError {
  const message = `Temporal did not report the end of the run, which continues: ${runPath(id)}`;
  return new MillraceError('ORCHESTRATOR_UNAVAILABLE', message);
}

/** Clients of these doors retry requests that they get no response to. */
const mayBeRetried = (order: Order): Order => ({ retry: 0, ...order });

async function abandon(deps: RunDeps, order: Order, { id }: StartedRun, gone: AbortSignal): Promise<void> {
  const isCancelled = gone.aborted && gone.reason instanceof CancelledByCaller;
  if (isCancelled || onLeaveOf(order) === 'cancel') await cancelLeft(deps, { id, tenant: order.caller.tenant });
}
