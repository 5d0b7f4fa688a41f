import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { valuesOfEntries } from '../../activities/stage/held-entries.js';
import { isStreamLost, MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { MOST_BYTES, tooLarge } from '../../pipelines/json-limits.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import { allSteps } from '../../pipelines/plan/index.js';
import {
  callName,
  type RunResult,
  type Segment,
  type SegmentCall,
  type SegmentOutcome,
  type StageCall,
  servedBy,
  type TriedCall,
  WORKFLOW_TASK_TIMEOUT_MS,
} from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { type Moment, momentAgo } from '../../runtime/moment.js';
import { publishAnswer } from '../../stores/answers/index.js';
import {
  guardedKey,
  HeldError,
  KEPT_ENDED_MS,
  type OpenOptions,
  SegmentJournal,
  SupersededError,
  segmentKey,
} from '../../stores/journal/index.js';
import type { LossWatch } from '../../stores/redis/index.js';
import { answerOf, interpretSegment } from '../../workflows/interpreter/index.js';
import { InProcessHost, type InProcessOptions, type Runner } from './in-process-host.js';
import type { Ended, Journal } from './journal.js';
import { type KeptJournal, keepWritten } from './kept-journal.js';
import { ResultPace } from './result-pace.js';
import { watchRun } from './run-watch.js';
import { beginSegment } from './running-segments.js';
import { whenTaken } from './taken-outcomes.js';
import { isFirstAttempt, passOn } from './workflow-tasks.js';

/** How long the journal is kept after the segment's deadline, in milliseconds, for a worker that takes over late. */
const KEPT_AFTER_MS = 600_000;

/** Time to live of a segment's journal, in milliseconds, by the time that the segment has left. */
export const journalTtlMs = (leftMs: number): number => Math.ceil(Math.max(0, leftMs)) + KEPT_AFTER_MS;

/**
 * Lease of a fast host on a journal, in milliseconds. The same as the takeover time of a segment that Temporal runs: 3 s.
 */
export const LEASE_MS = WORKFLOW_TASK_TIMEOUT_MS;

/** Interval in which a guardian checks whether a fast host still holds the journal, in milliseconds. */
const POLL_MS = 100;

/**
 * How long a segment is one local activity, in milliseconds. It prolongs its workflow task, which Temporal allows for 30 minutes
 * (`history.workflowTaskHeartbeatTimeout`): then the task is given to another worker, and calls in progress would be made again.
 */
const LONGEST_MS = 28 * 60_000;

/** How long a guardian's worker retries an unreachable state store before it reports it, in milliseconds. */
const AWAY_MS = 1_000;

export interface SegmentParts {
  readonly runner: Runner;
  readonly redis: Redis;
  readonly losses: Pick<LossWatch, 'onLoss' | 'mayLack'>;
}

/**
 * The local activity of a segment: the interpreter runs its steps in this process, and the journal records each completed call. Nothing
 * starts without a journal: the workflow then runs the steps as activities if no other worker can have begun them, and waits otherwise.
 */
export function createSegmentActivity(
  { runner, redis, losses }: SegmentParts,
  ends?: AbortSignal,
  pace: Pick<ResultPace, 'turn'> = new ResultPace(),
) {
  const own: NonNullable<OpenOptions['own']> = new Map();
  return async (scope: JsonObject, { segment, begun, askedAt, taskMs }: SegmentCall): Promise<SegmentOutcome> => {
    const { cancellationSignal, info, client } = Context.current();
    const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
    const begunAt = momentAgo();
    const { signal, abort, end } = beginSegment(workflowId, runId, segment.path, cancellationSignal);
    // The workflow's clock stands where its task began: before this activity waited for a slot, and, in a replay, before a worker was lost.
    // A task that is no replay began within its timeout, also where Temporal's clock and this machine's differ.
    const { currentAttemptScheduledTimestampMs: scheduledAt } = info;
    const beganAt = begun ? askedAt : Math.max(askedAt, scheduledAt - WORKFLOW_TASK_TIMEOUT_MS);
    const waitedMs = Math.max(0, Date.now() - Math.min(scheduledAt, beganAt));
    const leftMs = segment.leftMs - waitedMs;
    ends?.addEventListener('abort', abort);
    if (ends?.aborted) abort();
    let ending: true | undefined;
    let kept: KeptJournal | undefined;
    let opened: Awaited<ReturnType<typeof openRecord>> | undefined;
    const elsewhere = (away: NonNullable<SegmentOutcome['away']>): SegmentOutcome => {
      void passOn(client, workflowId, runId);
      return { ...NOTHING, away };
    };
    const watch = watchRun(client, workflowId, runId, () => {
      ending = true;
      abort();
    });
    try {
      // A journal that is missing after a loss may be that of an earlier attempt or of a fast host, whose process writes it again if it lives.
      // That the gateway has taken a job back does not show that no host had it: the store may have had the job again.
      const mayBeBegun = begun === true || segment.guarded !== undefined;
      const mayBeLost = async () =>
        (await losses.mayLack()) && (mayBeBegun || !(await isFirstAttempt(client, workflowId, runId)));
      const opening = { segment, workflowId, runId, leftMs, begun, askedAt, begunAt, signal, mayBeLost, own };
      opened = await openRecord(redis, opening);
      if (opened.ranOut) return { ...NOTHING, left: true };
      const record = opened.journal;
      // Until Temporal has its outcome it may begin again, by its journal.
      const written = keepWritten(record, losses);
      kept = written;
      const held = segment.held && (await valuesOfEntries(runner, segment.held, workflowId, signal));
      // As the first one has recorded it, by the state store's clock: those of the workers may differ.
      const wholeMs = record.leftMs() ?? leftMs;
      const whole = { ...segment, leftMs: wholeMs, scope: { ...scope, ...(held && Object.fromEntries(held)) } };
      const endsBy = performance.now() + LONGEST_MS - Math.max(0, Date.now() - scheduledAt);
      // On shutdown, the journal must record that the worker was not lost during its calls.
      const running = executeSegment(whole, record, { runner, run: workflowId, signal, begunAt, endsBy });
      const { away, ...all } = await running.finally(() => record.settled());
      const complete = await record.settled();
      if (!complete) written.write();
      // It goes on from its journal, in a local activity of its own; one that lacks something is left to the queues.
      if (away && complete) return { ...NOTHING, away };
      const outcome = away ? boundedOutcome(all) : all;
      // Nobody may wait for it any more, or this worker is to end: then it stays in the journal, unless that lacks something.
      const given = complete ? signal : cancellationSignal;
      await pace.turn(runId, bytesOf(outcome), { taskMs, tenant: segment.context.tenant, signal: given });
      kept = undefined;
      // Until then its outcome may be lost: its journal lives as long as its run may, also if the store does not.
      whenTaken(client, workflowId, runId, () => {
        written.stop();
        void record.keepFor(KEPT_ENDED_MS);
      });
      const result = complete ? answerWithin(whole, outcome) : undefined;
      if (segment.answer) await publishAnswer(redis, segment.answer.to, { run: workflowId, result: result ?? null });
      return outcome;
    } catch (error) {
      if (cancellationSignal.aborted) throw new CancelledFailure('the segment was cancelled');
      if (ending) return { done: {}, rows: [], ending };
      if (ends?.aborted) return elsewhere('worker');
      // The result of an abandoned segment is ignored.
      if (signal.aborted) return { ...NOTHING, interrupted: true };
      // The items of its `each` begin again with their values.
      if (isStreamLost(error)) {
        const ended = opened ? stepsEnded(segment, opened.journal.ends) : [];
        const failure = { code: error.code, message: error.message, details: {} };
        return { ...NOTHING, failure, ...(ended.length > 0 && { ended }) };
      }
      // Its workflow task timed out while this process was stalled; Temporal ignores the result.
      if (error instanceof SupersededError) return { ...NOTHING, away: 'worker' };
      if (!(error instanceof MillraceError && error.code === 'JOURNAL_UNAVAILABLE')) throw error;
      if (!begun && (await isFirstAttempt(client, workflowId, runId))) return { ...NOTHING, interrupted: true };
      return elsewhere('store');
    } finally {
      ends?.removeEventListener('abort', abort);
      watch.stop();
      // It may go on from its journal, in this process or in another one.
      if (kept) whenTaken(client, workflowId, runId, kept.stop);
      end();
    }
  };
}

const NOTHING = { done: {}, rows: [] } as const;

/**
 * Steps of a segment of which a call has ended.
 * @param calls names of ended calls in its journal
 */
export function stepsEnded({ prefix, steps }: Pick<Segment, 'prefix' | 'steps'>, calls: Iterable<string>): string[] {
  const paths = [...calls].map((name) => name.slice(prefix.length));
  const hasEnds = (id: string) =>
    paths.some((path) => path.startsWith(id) && ENDS_OF_IDS.includes(path.charAt(id.length)));
  return steps.flatMap((step) =>
    [...allSteps({ stages: [step], output: null })].some(({ id }) => hasEnds(id)) ? [step.id] : [],
  );
}

/** What follows the id of a step in the name of a call: an item or round, another candidate, a call of an agent, or what serves it. */
const ENDS_OF_IDS = '[~/ ';

interface Opening {
  readonly segment: Pick<Segment, 'path' | 'guarded' | 'leftMs'>;
  readonly workflowId: string;
  readonly runId: string;
  readonly leftMs: number;
  readonly begun: true | undefined;
  readonly askedAt: number;
  /** When it began here. */
  readonly begunAt: Moment;
  readonly signal: AbortSignal;
  /** Whether the store has lost data, and an earlier attempt may have begun the segment. */
  mayBeLost(): Promise<boolean>;
  readonly own: OpenOptions['own'];
}

/**
 * Opens the segment's journal: after the lease of a fast host, and after the length of one if the store may have lost the journal. Rejects
 * with `JOURNAL_UNAVAILABLE`.
 */
async function openRecord(redis: Redis, { segment, workflowId, runId, leftMs, mayBeLost, ...asked }: Opening) {
  const { guarded, path } = segment;
  const { begun, askedAt, begunAt, signal, own } = asked;
  const opening = { ttlMs: journalTtlMs(segment.leftMs), askedAt, begunAt, ...(own && { own }) };
  const end = performance.now() + leftMs;
  const isGuarded = guarded !== undefined;
  const key = isGuarded ? guardedKey(workflowId, guarded) : segmentKey(workflowId, runId, path);
  let lost = await mayBeLost();
  const open = async (wasAway: boolean) => {
    // A store that was away may be another one now.
    lost ||= wasAway && (await mayBeLost());
    const untaken = !lost && !(isGuarded && begun);
    const now = { leaseMs: LEASE_MS, untaken, leftMs: end - performance.now() };
    return await SegmentJournal.open(redis, key, { ...opening, ...now });
  };
  const { journal, ranOut } = await untilFree(open, isGuarded ? AWAY_MS : 0, signal);
  // No fast host has had the journal of another segment.
  return { journal, ranOut: isGuarded && ranOut };
}

/**
 * @param open gets whether the store was away before
 * @param awayMs how long an unreachable store is tried again, in milliseconds
 */
async function untilFree<T>(open: (wasAway: boolean) => Promise<T>, awayMs: number, signal: AbortSignal): Promise<T> {
  let awaySince: number | undefined;
  for (;;) {
    let pause = POLL_MS;
    try {
      return await open(awaySince !== undefined);
    } catch (error) {
      if (error instanceof SupersededError) throw error;
      if (error instanceof HeldError) {
        pause = Math.min(pause, error.leftMs);
        awaySince = undefined;
      } else {
        awaySince ??= performance.now();
        if (performance.now() - awaySince >= awayMs) throw error;
      }
    }
    await sleep(pause, undefined, { signal });
  }
}

/**
 * The run's result if the segment is the whole run and has succeeded. Undefined otherwise, and if the output is too large: then the
 * workflow fails the run.
 */
export function answerWithin(segment: Segment, outcome: SegmentOutcome): RunResult | undefined {
  if (!segment.answer || outcome.failure || outcome.interrupted) return undefined;
  const result = answerOf(segment, outcome);
  return tooLarge(result.output) === undefined ? result : undefined;
}

/**
 * Runs a segment's steps in this process and records each call. The last writes may still be in flight. If it is interrupted because its time here is
 * over, the outcome is `away`, and may be too large for the history: the journal has the same.
 */
export async function executeSegment(
  segment: Segment,
  record: SegmentJournal,
  options: Pick<InProcessOptions, 'runner' | 'run' | 'signal' | 'begunAt' | 'endsBy'>,
): Promise<SegmentOutcome> {
  const journal = new NamedCalls(record);
  const host = new InProcessHost({ ...options, journal });
  const ended = await interpretSegment(segment, host);
  if (!ended.interrupted) return boundedOutcome(ended);
  const interrupted = { ...ended, tried: journal.tried() };
  return host.ranOut ? { ...interrupted, away: 'worker' } : boundedOutcome(interrupted);
}

/** Maps calls to names of the journal, and keeps what is known of the calls of this worker. */
class NamedCalls implements Journal {
  readonly #record: SegmentJournal;
  readonly again: boolean;
  readonly #calls = new Map<string, string>();
  /** Calls that wait for a server that is away, with their wait so far in milliseconds. */
  readonly #waiting = new Map<string, number>();

  constructor(record: SegmentJournal) {
    this.#record = record;
    this.again = record.hasEnds;
  }

  ended(call: StageCall): Ended | undefined {
    const name = nameOf(call);
    this.#calls.set(callName(call), name);
    return this.#record.ended(name) as Ended | undefined;
  }

  begin(call: StageCall, leftMs: number): Promise<number> {
    this.#waiting.delete(nameOf(call));
    return orStageError(this.#record.begin(nameOf(call), leftMs));
  }

  end(call: StageCall, ended: Ended): void {
    void this.#record.end(nameOf(call), ended as unknown as Json);
  }

  left(call: StageCall, waitedMs?: number): void {
    this.#record.left(nameOf(call), waitedMs === undefined);
    if (waitedMs !== undefined) this.#waiting.set(nameOf(call), waitedMs);
  }

  rest(call: StageCall): () => Promise<void> {
    const name = nameOf(call);
    this.#record.rest(name);
    return () => this.#record.goOn(name);
  }

  losses(call: StageCall): number {
    return this.#record.losses(nameOf(call));
  }

  held(): Promise<void> {
    return this.#record.held();
  }

  leftMs(call: StageCall): number | undefined {
    return this.#record.leftMs(nameOf(call));
  }

  /** Attempts of the calls that have not succeeded. */
  tried(): Record<string, TriedCall> {
    const tried: Record<string, TriedCall> = {};
    for (const [call, name] of this.#calls) {
      const waitedMs = this.#waiting.get(name);
      const begun = this.#record.begun(name);
      const ended = this.#record.ended(name) as Ended | undefined;
      if ((begun > 0 || waitedMs !== undefined) && !(ended && 'outcome' in ended)) {
        tried[call] = { begun, ...(waitedMs !== undefined && { waitedMs }), ...ended };
      }
    }
    return tried;
  }
}

/** Name of a call in the journal: its path and a hash of what serves it. */
const nameOf = ({ path, stage, ...by }: StageCall): string => `${path ?? stage} ${jsonHash(servedBy(by)).slice(0, 8)}`;

/** The outcome; if it is too large for the run's history, a failure that names the stage with the largest result. */
export function boundedOutcome(outcome: SegmentOutcome): SegmentOutcome {
  const bytes = bytesOf(outcome);
  if (bytes <= MOST_BYTES) return outcome;
  const { below = {} } = outcome.done as { below?: Record<string, Json> };
  const sizes = Object.entries(below).map(([id, value]) => [id, bytesOf(value)] as const);
  const [stage] = sizes.reduce((most, next) => (next[1] > most[1] ? next : most), ['', 0] as const);
  const code = 'RESULT_TOO_LARGE';
  const message = `stage "${stage}": the results of its segment have ${bytes} bytes, more than ${MOST_BYTES}`;
  const rows = outcome.rows.map((row) =>
    row.stage === stage ? { ...row, status: 'failed' as const, error: { code, message } } : row,
  );
  const field =
    tooLarge(outcome.done, 0)
      ?.field.replace(/^below\./, '')
      .replaceAll(/\.(below|value)\b/g, '') ?? stage;
  return { done: {}, rows, failure: { code, message, details: { stage, fields: [{ field, message }] } } };
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

async function orStageError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof MillraceError) throw new StageError(error.code, error.message);
    throw error;
  }
}
