import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { isAway, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { ChannelCommit, ChannelWait, Committed, MoreEntries } from '../../pipelines/run/index.js';
import { momentAgo } from '../../runtime/moment.js';
import { tooManyWait } from '../../runtime/waiting-room.js';
import type { StepStreams } from '../streams/index.js';
import { type StreamsOf, streamsOf } from './held-entries.js';
import { HeldSlot, type SharedSlots } from './held-slot.js';

/** Cancellation arrives with the answer to a heartbeat. */
const HEARTBEAT_INTERVAL_MS = 500;

/** How long a commit keeps its slot while the readers of the channel lag, in milliseconds: one of them may need it. */
const KEEPS_SLOT_MS = 1_000;

/** Attempts at committing to a store that is away, each of two seconds: it is tried for longer than readers wait for it. */
const MOST_ATTEMPTS = 10;

/**
 * The activities by which the workflow of a run reads and writes channels. Both can be repeated: nothing is taken from a channel, and what is
 * committed already is compared.
 */
export function createChannelActivities(runner: StreamsOf, slots?: SharedSlots) {
  return {
    /** Holds no slot: what it waits for may need the last one. */
    wait: ({ tenant, waitFor }: ChannelWait): Promise<MoreEntries> =>
      attempted(runner, slots && new HeldSlot(slots, tenant), 1, (streams, slot) => {
        if (slot?.leave() === false) throw tooManyWait('streams');
        return streams.wait(waitFor);
      }),
    commit: ({ values }: { readonly values: readonly Json[] }, { tenant, commit }: ChannelCommit): Promise<Committed> =>
      attempted(runner, slots && new HeldSlot(slots, tenant), MOST_ATTEMPTS, async (streams, slot) => {
        const leaving = setTimeout(() => slot?.leave(), KEEPS_SLOT_MS);
        try {
          return await streams.commit(commit, values);
        } finally {
          clearTimeout(leaving);
        }
      }),
  };
}

/**
 * Runs one attempt: it beats, ends with its cancellation, and fails as Temporal is to go on.
 * @param most attempts at a stream that is lost
 */
async function attempted<T>(
  runner: StreamsOf,
  slot: HeldSlot | undefined,
  most: number,
  work: (streams: StepStreams, slot: HeldSlot | undefined) => Promise<T>,
): Promise<T> {
  const context = Context.current();
  const { info, cancellationSignal } = context;
  const begunAt = momentAgo();
  const beating = setInterval(() => context.heartbeat(), HEARTBEAT_INTERVAL_MS);
  const run = info.workflowExecution?.workflowId ?? info.activityId;
  try {
    return await work(streamsOf(runner, run, cancellationSignal, begunAt), slot);
  } catch (error) {
    // Also if the worker stops: Temporal then begins another attempt.
    if (cancellationSignal.aborted) throw new CancelledFailure('the step was cancelled');
    throw asFailure(error, info.attempt < most);
  } finally {
    clearInterval(beating);
    slot?.end();
  }
}

/**
 * A writer that another attempt has fenced off, a store that is away, and a worker for which too many wait, are tried again; not a worker
 * without a store.
 */
function asFailure(error: unknown, lostAgain: boolean): ApplicationFailure {
  const known =
    error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error), {}, { cause: error });
  const { code, message, details } = known;
  const again =
    isAway(known) || code === 'STREAM_TAKEN' || (code === 'STREAM_LOST' && lostAgain && details.final !== true);
  return ApplicationFailure.create({
    ...{ type: code, message, details: [details], nonRetryable: !again },
    ...(again && details.retryAfterMs !== undefined && { nextRetryDelay: details.retryAfterMs }),
  });
}
