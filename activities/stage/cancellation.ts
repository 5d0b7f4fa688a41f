import type { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { HandedOver } from '../connectors/handed-over.js';
import { isExpected } from './late-task.js';
import { isPending } from './pending.js';

/** Temporal's reason for cancelling the activities that run at the end of a worker's grace; each is run again. */
const SHUTDOWN = 'WORKER_SHUTDOWN';
/** Its reason if the run has cancelled the activity. The others: Temporal has given the attempt up, or the run has ended. */
const CANCELLED = 'CANCELLED';

/**
 * Aborts when the activity is cancelled; with `HandedOver` if another attempt goes on from the checkpoint: because the worker stops, or
 * because Temporal has heard nothing of this attempt for too long.
 * @param hasCheckpoint whether there is anything to go on from
 */
export function cancellationIn(context: Context, hasCheckpoint: () => boolean): AbortSignal {
  const { cancellationSignal } = context;
  const own = new AbortController();
  const forward = () => {
    const { reason } = cancellationSignal;
    const why = reason instanceof CancelledFailure ? reason.message : CANCELLED;
    if (why === SHUTDOWN) own.abort(new HandedOver());
    else if (why === CANCELLED || !hasCheckpoint()) own.abort(reason);
    else void isPending(context).then((pending) => own.abort(pending ? new HandedOver() : reason));
  };
  if (cancellationSignal.aborted) forward();
  else cancellationSignal.addEventListener('abort', forward, { once: true });
  return own.signal;
}

/**
 * Whether another attempt was made in the place of this one, whose heartbeats have not arrived, or may be.
 * @param details of the heartbeat by which Temporal is asked
 * @param signal ends the question: false
 */
export async function isTakenOver(context: Context, details: unknown, signal: AbortSignal): Promise<boolean> {
  return !(await isExpected(context, details, signal)) && !signal.aborted && (await isPending(context));
}
