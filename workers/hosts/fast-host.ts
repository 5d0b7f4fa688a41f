import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import { allSteps, isStage, PLAN_VERSION } from '../../pipelines/plan/index.js';
import { OUTCOME_SIGNAL, outcomeSignal, type Segment, type SegmentOutcome } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { momentAgo } from '../../runtime/moment.js';
import { type Answer, publishAnswer } from '../../stores/answers/index.js';
import type { FastJob, TakenJob } from '../../stores/jobs/index.js';
import { guardedKey, isReleased, keepLease, SegmentJournal } from '../../stores/journal/index.js';
import type { LossWatch } from '../../stores/redis/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Runner } from './in-process-host.js';
import { keepWritten } from './kept-journal.js';
import { watchRun } from './run-watch.js';
import { answerWithin, executeSegment, journalTtlMs, LEASE_MS } from './segment-executor.js';
import { whenDone } from './taken-outcomes.js';

export interface FastHostParts {
  readonly runner: Runner;
  readonly redis: Redis;
  readonly losses: Pick<LossWatch, 'onLoss'>;
  readonly client: Client;
  readonly logger: Logger;
}

/** How long signalling a guardian is retried, and the pause between two tries, in milliseconds. */
const SIGNAL_MS = 60_000;
const TELL_PAUSE_MS = 500;
/** How long a missing guardian may still be starting, in milliseconds: jobs may be queued before the start is confirmed. */
const START_MS = 5_000;

/**
 * Runs a guarded run as one segment, outside Temporal, and sends the outcome to the gateway, which signals it to the guardian. Holds the
 * journal under a lease, for which the guardian waits. Results that the journal could not store are signalled to the guardian directly.
 * Never rejects.
 *
 * @param stopping aborts when the process must not wait for the run any longer
 */
export async function runFastJob(job: TakenJob, parts: FastHostParts, stopping: AbortSignal): Promise<void> {
  const { id, segment } = job;
  const { runner, redis, client, logger } = parts;
  // Another worker may run it, with a journal that the store has lost and that it restores: the guardian waits for the time of its lease.
  if (job.again) return await publishAnswer(redis, channelOf(segment), { run: id, outcome: LEFT });
  // Nothing has begun: the guardian can start at once.
  if (!canRun(segment, runner)) return await publishAnswer(redis, channelOf(segment), { run: id, outcome: null });
  const own = new AbortController();
  let cancelled = false;
  // As if the journal were unavailable: completed calls count, and no new call begins.
  const giveUp = (why: string) => own.abort(new StageError('JOURNAL_UNAVAILABLE', why));
  const stop = () => giveUp('the worker stops');
  stopping.addEventListener('abort', stop, { once: true });
  if (stopping.aborted) stop();
  const watch = watchRun(client, id, undefined, () => {
    cancelled = true;
    own.abort(new Error('the run is to end'));
  });
  const key = guardedKey(id, segment.guarded ?? '');
  // By two clocks: where they differ, the journal of a run that is started under the id of an erased one may be refused; its guardian runs it.
  const begunAt = momentAgo(Math.max(0, Date.now() - job.at));
  const { leftMs } = segment;
  const journal = SegmentJournal.begin(redis, key, { ttlMs: journalTtlMs(leftMs), leaseMs: LEASE_MS, leftMs, begunAt });
  const lease = keepLease(journal, LEASE_MS, (why) => giveUp(`the journal is ${why}`));
  let outcome: SegmentOutcome | undefined;
  try {
    outcome = await executeSegment(segment, journal, { runner, run: id, signal: own.signal, begunAt });
  } catch (error) {
    if (!cancelled)
      logger.warn({ run: id, error: messageOf(error) }, 'a fast run broke off; its guardian workflow takes it over');
  } finally {
    watch.stop();
    lease.stop();
    stopping.removeEventListener('abort', stop);
  }
  if (cancelled) await journal.release();
  else await publishOutcome({ job, parts, journal, outcome });
}

/** Whether this worker can run the whole segment; otherwise it is left to other workers from the beginning. */
function canRun(segment: Segment | undefined, runner: Runner): segment is Segment {
  // A gateway of another release may queue plans of another format.
  if (segment?.context.plan.planVersion !== PLAN_VERSION) return false;
  const steps = allSteps({ stages: segment.steps, output: null });
  return [...steps].every((step) => !isStage(step) || runner.lack?.(step) === undefined);
}

const channelOf = (segment: Segment | undefined): string => segment?.answer?.to ?? '';

/** The guardian continues from the journal. */
const LEFT: SegmentOutcome = { done: {}, rows: [], left: true };

interface Ended {
  readonly job: FastJob;
  readonly parts: FastHostParts;
  readonly journal: SegmentJournal;
  /** Undefined if the segment broke off. */
  readonly outcome: SegmentOutcome | undefined;
}

/**
 * Publishes the outcome to the gateway after all writes of the journal. If the journal is incomplete, or no gateway has received the
 * message, the guardian is signalled first.
 */
async function publishOutcome({ job: { id, segment }, parts, journal, outcome }: Ended): Promise<void> {
  const channel = channelOf(segment);
  const message = { run: id, ...answerOf(segment, outcome) };
  const released = await journal.release({ channel, message: JSON.stringify(message) });
  // Another process has the journal, or the run was not started: this outcome is void.
  if (released === 'taken' || released === 'revoked') return;
  const recorded = typeof released === 'object';
  // The guardian may go on from it, also after an outage of Temporal: until then it is written again if the store loses it.
  const kept = keepWritten(journal.withoutLease(), parts.losses);
  whenDone(parts.client, id, () => isReleased(parts.redis, guardedKey(id, segment.guarded ?? '')), kept.stop);
  if (!recorded) kept.write();
  if (recorded && (released.receivers > 0 || message.outcome === LEFT)) return;
  if (outcome) await handOver(id, parts, outcomeSignal(outcome, segment.guarded));
  if (!recorded) await publishAnswer(parts.redis, channel, message);
}

function answerOf(segment: Segment, outcome: SegmentOutcome | undefined): Omit<Answer, 'run'> {
  if (outcome?.failure) return { outcome, result: null };
  const result = outcome && answerWithin(segment, outcome);
  return outcome && result ? { result, outcome } : { outcome: LEFT };
}

/** Signals the outcome to the guardian. */
async function handOver(
  id: string,
  { client, logger }: FastHostParts,
  signalArgs: ReturnType<typeof outcomeSignal>,
): Promise<void> {
  const began = performance.now();
  for (;;) {
    try {
      return await client.workflow.getHandle(id).signal(OUTCOME_SIGNAL, ...signalArgs);
    } catch (error) {
      const longest = error instanceof WorkflowNotFoundError ? START_MS : SIGNAL_MS;
      const over = performance.now() - began >= longest;
      if (over)
        return logger.warn(
          { run: id, error: messageOf(error) },
          'the guardian workflow could not be signalled with the outcome of its run',
        );
    }
    await sleep(TELL_PAUSE_MS);
  }
}
