import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { MOST_BYTES, tooLarge } from '../../pipelines/json-limits.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
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
import { publishAnswer } from '../../stores/answers/index.js';
import {
  guardedKey,
  HeldError,
  KEPT_ENDED_MS,
  SegmentJournal,
  SupersededError,
  segmentKey,
} from '../../stores/journal/index.js';
import { answerOf, interpretSegment } from '../../workflows/interpreter/index.js';
import { type Ended, InProcessHost, type InProcessOptions, type Journal, type Runner } from './in-process-host.js';
import { watchRun } from './run-watch.js';
import { beginSegment } from './running-segments.js';
import { isFirstAttempt, passOn } from './workflow-tasks.js';

/** The record outlives the segment's deadline by this, in milliseconds: a worker that takes over late still finds it. */
const KEPT_AFTER_MS = 600_000;

/** How long the record of a segment is kept that has this time to run, in milliseconds. */
export const journalTtlMs = (leftMs: number): number => Math.ceil(Math.max(0, leftMs)) + KEPT_AFTER_MS;

/**
 * How long a fast host holds a record without renewing its lease, in milliseconds. As for a worker that dies in a segment of
 * Temporal's own: 3 s.
 */
export const LEASE_MS = WORKFLOW_TASK_TIMEOUT_MS;

/** How often a guardian looks whether a fast host still holds the record, in milliseconds. */
const LOOK_MS = 100;

/** How long a guardian's worker tries to reach the state store before it says that it does not, in milliseconds. */
const AWAY_MS = 1_000;

/**
 * The activity of a segment: the interpreter runs its steps in this process and the journal records each that ends. Without
 * a journal nothing starts: the workflow runs the steps on their queues where nobody can have begun them, and waits otherwise.
 */
export function createSegmentActivity(runner: Runner, redis: Redis, ends?: AbortSignal) {
  return async (scope: JsonObject, { segment, begun, askedAt }: SegmentCall): Promise<SegmentOutcome> => {
    const { cancellationSignal, info, client } = Context.current();
    const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
    const { signal, abort, end } = beginSegment(workflowId, runId, segment.path, cancellationSignal);
    // The workflow's clock stood still while the segment waited for a slot.
    const waitedMs = Math.max(0, Date.now() - info.currentAttemptScheduledTimestampMs);
    const leftMs = segment.leftMs - waitedMs;
    ends?.addEventListener('abort', abort);
    if (ends?.aborted) abort();
    let ending: true | undefined;
    const elsewhere = (away: NonNullable<SegmentOutcome['away']>): SegmentOutcome => {
      void passOn(client, workflowId, runId);
      return { ...NOTHING, away };
    };
    const watch = watchRun(client, workflowId, runId, () => {
      ending = true;
      abort();
    });
    try {
      const opened = await openRecord(redis, { segment, workflowId, runId, leftMs, begun, askedAt, signal });
      if (opened.ranOut) return { ...NOTHING, left: true };
      const record = opened.journal;
      const whole = { ...segment, leftMs, scope };
      // Where the worker is asked to end, the record has to say that it was not lost in its calls.
      const running = executeSegment(whole, record, { runner, run: workflowId, signal });
      const outcome = await running.finally(() => record.settled());
      const kept = await record.settled();
      // Nobody waits for this: it is one way to Redis more.
      void record.keepFor(KEPT_ENDED_MS);
      const result = kept ? answerWithin(whole, outcome) : undefined;
      if (segment.answer) await publishAnswer(redis, segment.answer.to, { run: workflowId, result: result ?? null });
      return outcome;
    } catch (error) {
      if (cancellationSignal.aborted) throw new CancelledFailure('the segment was cancelled');
      if (ending) return { done: {}, rows: [], ending };
      if (ends?.aborted) return elsewhere('worker');
      // Nobody looks at what an abandoned segment gives.
      if (signal.aborted) return { ...NOTHING, interrupted: true };
      // Its workflow task was given up while this process stood still: Temporal does not take what comes of it.
      if (error instanceof SupersededError) return { ...NOTHING, away: 'worker' };
      if (!(error instanceof MillraceError && error.code === 'JOURNAL_UNAVAILABLE')) throw error;
      if (!begun && (await isFirstAttempt(client, workflowId, runId))) return { ...NOTHING, interrupted: true };
      return elsewhere('store');
    } finally {
      ends?.removeEventListener('abort', abort);
      watch.stop();
      end();
    }
  };
}

const NOTHING = { done: {}, rows: [] } as const;

interface Opening {
  readonly segment: Pick<Segment, 'path' | 'guarded'>;
  readonly workflowId: string;
  readonly runId: string;
  readonly leftMs: number;
  readonly begun: true | undefined;
  readonly askedAt: number;
  readonly signal: AbortSignal;
}

/** Opens the segment's record; that of a guarded run as soon as no fast host holds it. Rejects with `JOURNAL_UNAVAILABLE`. */
async function openRecord(redis: Redis, { segment, workflowId, runId, leftMs, begun, askedAt, signal }: Opening) {
  const { guarded, path } = segment;
  const ttlMs = journalTtlMs(leftMs);
  if (guarded === undefined)
    return await SegmentJournal.open(redis, segmentKey(workflowId, runId, path), { ttlMs, askedAt });
  let awaySince: number | undefined;
  for (;;) {
    let pause = LOOK_MS;
    try {
      const key = guardedKey(workflowId, guarded);
      return await SegmentJournal.open(redis, key, { ttlMs, leaseMs: LEASE_MS, askedAt, untaken: !begun });
    } catch (error) {
      if (error instanceof SupersededError) throw error;
      if (error instanceof HeldError) {
        pause = Math.min(pause, error.leftMs);
        awaySince = undefined;
      } else {
        awaySince ??= performance.now();
        if (performance.now() - awaySince >= AWAY_MS) throw error;
      }
    }
    await sleep(pause, undefined, { signal });
  }
}

/**
 * The run's result, where a segment is the whole run and has succeeded; undefined otherwise, and where it is too large: then its
 * workflow says how the run fails.
 */
export function answerWithin(segment: Segment, outcome: SegmentOutcome): RunResult | undefined {
  if (!segment.answer || outcome.failure || outcome.interrupted) return undefined;
  const result = answerOf(segment, outcome);
  return tooLarge(result.output) === undefined ? result : undefined;
}

/** Runs a segment's steps in this process, each recorded; the last of the record may still be on its way. */
export async function executeSegment(
  segment: Segment,
  record: SegmentJournal,
  options: Pick<InProcessOptions, 'runner' | 'run' | 'signal'>,
): Promise<SegmentOutcome> {
  const journal = new NamedCalls(record);
  const ended = await interpretSegment(segment, new InProcessHost({ ...options, journal }));
  return boundedOutcome(ended.interrupted ? { ...ended, tried: journal.tried() } : ended);
}

/** The journal with a call's name for each call, and what it knows of the calls that this worker has come to. */
class NamedCalls implements Journal {
  readonly #record: SegmentJournal;
  readonly #calls = new Map<string, string>();
  /** Calls that wait for a server that is away, and how long they have by now. */
  readonly #waiting = new Map<string, number>();

  constructor(record: SegmentJournal) {
    this.#record = record;
  }

  ended(call: StageCall): Ended | undefined {
    const name = nameOf(call);
    this.#calls.set(callName(call), name);
    return this.#record.ended(name) as Ended | undefined;
  }

  begin(call: StageCall): Promise<number> {
    this.#waiting.delete(nameOf(call));
    return orStageError(this.#record.begin(nameOf(call)));
  }

  end(call: StageCall, ended: Ended): void {
    void this.#record.end(nameOf(call), ended as unknown as Json);
  }

  left(call: StageCall, waitedMs?: number): void {
    this.#record.left(nameOf(call), waitedMs === undefined);
    if (waitedMs !== undefined) this.#waiting.set(nameOf(call), waitedMs);
  }

  losses(call: StageCall): number {
    return this.#record.losses(nameOf(call));
  }

  /** What calls have had that have not succeeded. */
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

/** A stage and what serves it, short enough for a field of Redis. */
const nameOf = ({ path, stage, ...by }: StageCall): string => `${path ?? stage} ${jsonHash(servedBy(by)).slice(0, 8)}`;

/** The outcome; where the run's history could not hold it, a failure that names the stage with the largest part of it. */
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
