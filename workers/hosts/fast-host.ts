import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { messageOf } from '../../pipelines/errors.js';
import { allSteps, isStage, type Plan } from '../../pipelines/plan/index.js';
import { OUTCOME_SIGNAL, type RunResult, type Segment, type SegmentOutcome } from '../../pipelines/run/index.js';
import { type Answer, publishAnswer } from '../../stores/answers/index.js';
import type { FastJob } from '../../stores/jobs/index.js';
import { guardedKey, keepLease, SegmentJournal } from '../../stores/journal/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { type Host, interpret, StageError } from '../../workflows/interpreter/index.js';
import type { Runner } from './in-process-host.js';
import { watchRun } from './run-watch.js';
import { journalTtlMs, LEASE_MS, runJournalled } from './segment-runner.js';

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
 * Runs a guarded run in this process, beside its workflow, and sends what came of it to the gateway, which tells the
 * guardian. It holds the journal under a lease: while it does, the guardian waits. What the journal does not have it tells the
 * guardian by itself. Never rejects.
 *
 * @param stopping aborts when the process must not wait for it any longer
 */
export async function runFastJob(job: FastJob, parts: FastHostParts, stopping: AbortSignal): Promise<void> {
  const { id, input, context } = job;
  if (lacksCode(context.plan, parts.runner)) {
    return await publishAnswer(parts.redis, context.answerTo ?? '', { run: id, outcome: null });
  }
  const host = new FastHost(job, parts, stopping);
  const watch = watchRun(parts.client, id, undefined, () => host.cancel());
  let answer: Omit<Answer, 'run'>;
  try {
    const result = (await interpret(input, context, host)) as RunResult;
    answer = { result, ...(host.outcome && { outcome: host.outcome }) };
  } catch (error) {
    const { outcome } = host;
    answer = { outcome: outcome?.failure ? outcome : LEFT };
    if (!outcome?.failure && !host.cancelled)
      parts.logger.warn({ run: id, error: messageOf(error) }, 'the guardian of a fast run goes on with it');
  } finally {
    watch.stop();
    host.end();
  }
  if (host.cancelled) await host.journal?.release();
  else await tell(job, parts, host, answer);
}

/** Whether this worker would have to give back a part of the run: one that has its code begins it instead. */
const lacksCode = (plan: Plan, runner: Runner): boolean =>
  [...allSteps(plan)].some((step) => isStage(step) && runner.lacks?.(step) === true);

/** The record has what has ended: the guardian takes it. */
const LEFT: SegmentOutcome = { done: {}, rows: [], left: true };

/**
 * Sends what came of a run to the gateway, behind all that the journal has written. Where the journal does not have it, or
 * nobody has heard it, Temporal is told first.
 */
async function tell({ id, context }: FastJob, parts: FastHostParts, host: FastHost, answer: Omit<Answer, 'run'>) {
  const { answerTo: channel = '' } = context;
  const message = { run: id, ...answer };
  const { journal, outcome } = host;
  // Nothing has begun: the guardian need not wait for anybody.
  if (!journal) return await publishAnswer(parts.redis, channel, { run: id, outcome: null });
  const released = await journal.release({ channel, message: JSON.stringify(message) });
  // Another has the record, or the run has not started: what was done here counts for nothing.
  if (released === 'taken' || released === 'revoked') return;
  const recorded = typeof released === 'object';
  if (recorded && (released.heard > 0 || answer.outcome === LEFT)) return;
  if (outcome) await handOver(id, parts, outcome);
  if (!recorded) await publishAnswer(parts.redis, channel, message);
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
      if (over) return logger.warn({ run: id, error: messageOf(error) }, 'a guardian could not be told what has ended');
    }
    await sleep(TELL_PAUSE_MS);
  }
}

/** The interpreter's host of a run that is one segment: all but the segment is the guardian's. */
class FastHost implements Host {
  readonly #job: FastJob;
  readonly #parts: FastHostParts;
  readonly #own = new AbortController();
  readonly #stopping: AbortSignal;
  readonly #stop = () => this.#give('the worker stops');
  #lease: { stop(): void } | undefined;
  outcome: SegmentOutcome | undefined;
  journal: SegmentJournal | undefined;
  cancelled = false;

  constructor(job: FastJob, parts: FastHostParts, stopping: AbortSignal) {
    this.#job = job;
    this.#parts = parts;
    this.#stopping = stopping;
    stopping.addEventListener('abort', this.#stop, { once: true });
  }

  cancel(): void {
    this.cancelled = true;
    this.#own.abort(new Error('the run is to end'));
  }

  /** As when a call cannot be written: what has ended counts, and nothing begins. */
  #give(why: string): void {
    this.#own.abort(new StageError('JOURNAL_UNAVAILABLE', why));
  }

  end(): void {
    this.#lease?.stop();
    this.#stopping.removeEventListener('abort', this.#stop);
  }

  async runSegment(segment: Segment): Promise<SegmentOutcome> {
    const { id, context } = this.#job;
    const { runner, redis } = this.#parts;
    const key = guardedKey(id, context.guarded ?? '');
    const record = SegmentJournal.begin(redis, key, journalTtlMs(segment.leftMs), LEASE_MS);
    this.journal = record;
    this.#lease = keepLease(record, LEASE_MS, (why) => this.#give(`the journal is ${why}`));
    const outcome = await runJournalled(segment, record, { runner, run: id, signal: this.#own.signal });
    this.outcome = outcome;
    if (outcome.interrupted) throw givesUp();
    return outcome;
  }

  async runStage(): Promise<never> {
    throw givesUp();
  }

  async runChild(): Promise<never> {
    throw givesUp();
  }

  async wait(): Promise<never> {
    throw givesUp();
  }

  nonce(): never {
    throw givesUp();
  }

  async decision(): Promise<never> {
    throw givesUp();
  }

  close(): undefined {
    return undefined;
  }

  now(): number {
    return performance.now();
  }

  race<T>(contenders: readonly ((host: Host) => Promise<T>)[]): Promise<T> {
    return Promise.race(contenders.map((contender) => contender(this)));
  }

  full(): boolean {
    return false;
  }

  report(): void {
    // Whoever looks sees the guardian's table.
  }
}

const givesUp = () => new Error('a fast host runs one segment and nothing else');
