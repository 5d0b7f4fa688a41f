import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import { allSteps, isStage, PLAN_VERSION } from '../../pipelines/plan/index.js';
import { OUTCOME_SIGNAL, type Segment, type SegmentOutcome } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { type Answer, publishAnswer } from '../../stores/answers/index.js';
import type { FastJob } from '../../stores/jobs/index.js';
import { guardedKey, keepLease, SegmentJournal } from '../../stores/journal/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Runner } from './in-process-host.js';
import { watchRun } from './run-watch.js';
import { answerWithin, executeSegment, journalTtlMs, LEASE_MS } from './segment-executor.js';

export interface FastHostParts {
  readonly runner: Runner;
  readonly redis: Redis;
  readonly client: Client;
  readonly logger: Logger;
}

/** How long a guardian is tried to be told what has ended, and the pause between two tries, in milliseconds. */
const TELL_MS = 60_000;
const TELL_PAUSE_MS = 500;
/** A guardian that is not there may be about to start, for this long, in milliseconds: a run may be handed out beside its start. */
const START_MS = 5_000;

/**
 * Runs the segment that a guarded run is, beside its workflow, and sends what came of it to the gateway, which tells the
 * guardian. It holds the journal under a lease: while it does, the guardian waits. What the journal does not have it tells the
 * guardian by itself. Never rejects.
 *
 * @param stopping aborts when the process must not wait for it any longer
 */
export async function runFastJob(job: FastJob, parts: FastHostParts, stopping: AbortSignal): Promise<void> {
  const { id, segment } = job;
  const { runner, redis, client, logger } = parts;
  // Nothing has begun: the guardian need not wait for anybody.
  if (!canRun(segment, runner)) return await publishAnswer(redis, channelOf(segment), { run: id, outcome: null });
  const own = new AbortController();
  let cancelled = false;
  // As when a call cannot be written: what has ended counts, and nothing begins.
  const giveUp = (why: string) => own.abort(new StageError('JOURNAL_UNAVAILABLE', why));
  const stop = () => giveUp('the worker stops');
  stopping.addEventListener('abort', stop, { once: true });
  if (stopping.aborted) stop();
  const watch = watchRun(client, id, undefined, () => {
    cancelled = true;
    own.abort(new Error('the run is to end'));
  });
  const key = guardedKey(id, segment.guarded ?? '');
  const journal = SegmentJournal.begin(redis, key, journalTtlMs(segment.leftMs), LEASE_MS);
  const lease = keepLease(journal, LEASE_MS, (why) => giveUp(`the journal is ${why}`));
  let outcome: SegmentOutcome | undefined;
  try {
    outcome = await executeSegment(segment, journal, { runner, run: id, signal: own.signal });
  } catch (error) {
    if (!cancelled)
      logger.warn({ run: id, error: messageOf(error) }, 'a fast run broke off; its guardian workflow takes it over');
  } finally {
    watch.stop();
    lease.stop();
    stopping.removeEventListener('abort', stop);
  }
  if (cancelled) await journal.release();
  else await tell({ job, parts, journal, outcome });
}

/** Whether this worker can run all of a segment; one that cannot leaves it to others from the beginning. */
function canRun(segment: Segment | undefined, runner: Runner): segment is Segment {
  // A gateway of another release hands out what this one does not read.
  if (segment?.context.plan.planVersion !== PLAN_VERSION) return false;
  const steps = allSteps({ stages: segment.steps, output: null });
  return [...steps].every((step) => !isStage(step) || runner.lacks?.(step) !== true);
}

const channelOf = (segment: Segment | undefined): string => segment?.answer?.to ?? '';

/** The record has what has ended: the guardian takes it. */
const LEFT: SegmentOutcome = { done: {}, rows: [], left: true };

interface Ended {
  readonly job: FastJob;
  readonly parts: FastHostParts;
  readonly journal: SegmentJournal;
  /** Undefined where the segment broke off. */
  readonly outcome: SegmentOutcome | undefined;
}

/**
 * Sends what came of a run to the gateway, behind all that the journal has written. Where the journal does not have it, or
 * nobody has heard it, Temporal is told first.
 */
async function tell({ job: { id, segment }, parts, journal, outcome }: Ended): Promise<void> {
  const channel = channelOf(segment);
  const message = { run: id, ...answerOf(segment, outcome) };
  const released = await journal.release({ channel, message: JSON.stringify(message) });
  // Another has the record, or the run has not started: what was done here counts for nothing.
  if (released === 'taken' || released === 'revoked') return;
  const recorded = typeof released === 'object';
  if (recorded && (released.heard > 0 || message.outcome === LEFT)) return;
  if (outcome) await handOver(id, parts, outcome);
  if (!recorded) await publishAnswer(parts.redis, channel, message);
}

function answerOf(segment: Segment, outcome: SegmentOutcome | undefined): Omit<Answer, 'run'> {
  if (outcome?.failure) return { outcome, result: null };
  const result = outcome && answerWithin(segment, outcome);
  return outcome && result ? { result, outcome } : { outcome: LEFT };
}

/** Tells the guardian what has ended. */
async function handOver(id: string, { client, logger }: FastHostParts, outcome: SegmentOutcome): Promise<void> {
  const began = performance.now();
  for (;;) {
    try {
      return await client.workflow.getHandle(id).signal(OUTCOME_SIGNAL, outcome);
    } catch (error) {
      const longest = error instanceof WorkflowNotFoundError ? START_MS : TELL_MS;
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
