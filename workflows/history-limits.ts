import { workflowInfo } from '@temporalio/workflow';
import { takes } from './changes.js';

/**
 * A history of a run with local activities that ends as soon as it can: where Temporal suggests it. Temporal's suggestion differs in a replay, which takes
 * workflow tasks that a local activity has prolonged as one, at the length of the last: a loop that had gone on would stop there. What a run has begun is the
 * same in every replay.
 */
const ENOUGH_EVENTS = 4_000;
const ENOUGH_BYTES = 4 * 1024 * 1024;

/**
 * A history that grows beside a producer, which has to end before the run continues in a new one. Temporal suggests a new history at some
 * 4,000 events or 4 MiB, and ends the run at 51,200 or 50 MiB.
 */
const MOST_EVENTS = 20_000;
const MOST_HISTORY_BYTES = 20 * 1024 * 1024;

/**
 * A history in which a loop that cannot leave it fails, with nothing under way. What begins at the same moment, 256 items of an `each` for example, and
 * the end of the run have room after it.
 */
const LAST_EVENTS = 48_000;
/** For a call or child run that is under way: it begins, ends, and may have a workflow task of its own. */
const EVENTS_UNDER_WAY = 7;
/** How large the results of what is under way will be is not known: there is room for 10 MiB of them. */
const LAST_HISTORY_BYTES = 40 * 1024 * 1024;

/** What a history has grown by, as far as its own code knows: the same in every replay. */
interface Grown {
  /** Whether the run has local activities, of segments or around stages of other workers: nothing else prolongs a workflow task. */
  readonly hasLocals: boolean;
  /** Calls and child runs that have begun: each is scheduled, begins and ends, and its end has a workflow task. */
  readonly calls: number;
  /** Local activities: each has a marker, and a workflow task. */
  readonly locals: number;
  /** Timers and waits for decisions that have ended: each with its begin, and a workflow task. */
  readonly waits: number;
  /** Of commands and results. */
  readonly bytes: number;
}

/** Whether a loop has to stop for a new history. */
export function isEnough({ hasLocals, calls, locals, waits, bytes }: Grown): boolean {
  if (!hasLocals || !takes('histories-are-counted')) return workflowInfo().continueAsNewSuggested;
  return 6 * calls + 4 * locals + 7 * waits >= ENOUGH_EVENTS || bytes >= ENOUGH_BYTES || isLong();
}

/** Whether a run that could not begin a new history now must not go on in this one for much longer. */
export function isLong(): boolean {
  const { historyLength, historySize } = workflowInfo();
  return historyLength > MOST_EVENTS || historySize > MOST_HISTORY_BYTES;
}

/**
 * Whether this history has room for little more than the end of the run.
 * @param underWay calls and child runs that have begun, or will without being asked for again
 */
export function isNearlyOver(underWay: number): boolean {
  const { historyLength, historySize } = workflowInfo();
  return historyLength + EVENTS_UNDER_WAY * underWay > LAST_EVENTS || historySize > LAST_HISTORY_BYTES;
}
