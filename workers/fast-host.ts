import type { Client } from '@temporalio/client';
import type { Redis } from 'ioredis';
import { type Answer, publishAnswer } from '../activities/answers/index.js';
import type { FastJob } from '../activities/fast-jobs/index.js';
import { keepLease, SegmentJournal, WHOLE_RUN } from '../activities/journal/index.js';
import type { Logger } from '../activities/logger.js';
import type { StageRunner } from '../activities/stage-runner.js';
import { messageOf } from '../pipelines/errors.js';
import type { Json } from '../pipelines/json.js';
import { OUTCOME_SIGNAL, type RunResult, type Segment, type SegmentOutcome } from '../pipelines/plan/index.js';
import { type Host, interpret, StageError } from '../workflows/interpreter/index.js';
import { watchRun } from './run-watch.js';
import { journalTtlMs, LEASE_MS, runJournalled } from './segment-runner.js';

export interface FastHostParts {
  readonly runner: Pick<StageRunner, 'run'>;
  readonly redis: Redis;
  readonly client: Client;
  readonly logger: Logger;
}

/**
 * Runs a guarded run in this process, beside its workflow, and sends what came of it to the gateway, which tells the
 * guardian. It holds the journal under a lease: while it does, the guardian waits. When it has lost the journal it tells the
 * guardian by itself what has ended. Never rejects.
 *
 * @param stopping aborts when the process must not wait for it any longer
 */
export async function runFastJob(job: FastJob, parts: FastHostParts, stopping: AbortSignal): Promise<void> {
  const { id, input, context } = job;
  const { redis, client, logger } = parts;
  const { answerTo: channel = '' } = context;
  const host = new FastHost(job, parts, stopping);
  const watch = watchRun(client, id, undefined, () => host.cancel());
  // Behind all that the journal has written, for it is the same connection.
  const tell = async (answer: Omit<Answer, 'run'>) => {
    if (host.journal) await host.journal.release({ channel, message: JSON.stringify({ run: id, ...answer }) });
    else await publishAnswer(redis, channel, { run: id, ...answer });
  };
  try {
    const result = (await interpret(input, context, host)) as RunResult;
    await tell({ result, ...(host.outcome && { outcome: host.outcome }) });
  } catch (error) {
    const { outcome } = host;
    if (outcome?.failure) await tell({ outcome });
    else if (host.cancelled) await host.journal?.release();
    else {
      logger.warn({ run: id, error: messageOf(error) }, 'a fast run goes back to its guardian');
      if (outcome?.interrupted && !host.taken) await handOver(client, id, outcome, logger);
      await tell({ outcome: null });
    }
  } finally {
    watch.stop();
    host.end();
  }
}

/** Tells the guardian what has ended, for the journal cannot. */
async function handOver(client: Client, id: string, outcome: SegmentOutcome, logger: Logger): Promise<void> {
  try {
    await client.workflow.getHandle(id).signal(OUTCOME_SIGNAL, outcome);
  } catch (error) {
    logger.warn({ run: id, error: messageOf(error) }, 'a guardian could not be told what has ended');
  }
}

/** The interpreter's host of a run that is one segment: all but the segment is the guardian's. */
class FastHost implements Host {
  readonly #job: FastJob;
  readonly #parts: FastHostParts;
  readonly #own = new AbortController();
  readonly #stopping: AbortSignal;
  readonly #stop = () => this.#own.abort(new Error('the worker stops'));
  #lease: { stop(): void } | undefined;
  outcome: SegmentOutcome | undefined;
  journal: SegmentJournal | undefined;
  cancelled = false;
  /** The guardian has the journal, or the run has never started. */
  taken = false;

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

  end(): void {
    this.#lease?.stop();
    this.#stopping.removeEventListener('abort', this.#stop);
  }

  async runSegment(segment: Segment): Promise<SegmentOutcome> {
    const { id, context } = this.#job;
    const run = `${id}:${context.guarded}`;
    const { runner, redis } = this.#parts;
    const record = SegmentJournal.begin(redis, run, WHOLE_RUN, journalTtlMs(segment.leftMs), LEASE_MS);
    this.journal = record;
    this.#lease = keepLease(record, LEASE_MS, (why) => {
      this.taken = why === 'taken';
      // As when a call cannot be written: what has ended counts, and nothing begins.
      this.#own.abort(new StageError('JOURNAL_UNAVAILABLE', `the journal is ${why}`));
    });
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

  async signal(): Promise<Json> {
    throw givesUp();
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
