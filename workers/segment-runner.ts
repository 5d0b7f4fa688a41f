import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { publishAnswer } from '../activities/answers/index.js';
import { SegmentJournal } from '../activities/journal/index.js';
import type { StageRunner } from '../activities/stage-runner.js';
import { MillraceError } from '../pipelines/errors.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import { jsonHash } from '../pipelines/plan/hash.js';
import type { SegmentCall, SegmentOutcome, StageCall } from '../pipelines/plan/index.js';
import { answerOf, interpretSegment, StageError } from '../workflows/interpreter/index.js';
import { type Ended, InProcessHost, type Journal } from './in-process-host.js';
import { watchRun } from './run-watch.js';
import { beginSegment } from './running-segments.js';

/** The record outlives the segment by this: a worker that takes over late still finds it. */
const KEPT_AFTER_MS = 600_000;

/**
 * The activity of a segment: the interpreter runs its steps in this process and the journal records each that ends. Without
 * a journal nothing starts, and the workflow runs the steps on their queues.
 */
export function createSegmentActivity(runner: Pick<StageRunner, 'run'>, redis: Redis) {
  return async (scope: JsonObject, { segment }: SegmentCall): Promise<SegmentOutcome> => {
    const { cancellationSignal, info, client } = Context.current();
    const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
    const { signal, abort, end } = beginSegment(workflowId, runId, segment.path, cancellationSignal);
    let ending: true | undefined;
    const watch = watchRun(client, workflowId, runId, () => {
      ending = true;
      abort();
    });
    try {
      const ttlMs = Math.ceil(segment.leftMs) + KEPT_AFTER_MS;
      const journal = journalOf(await SegmentJournal.open(redis, `${workflowId}:${runId}`, segment.path, ttlMs));
      const host = new InProcessHost({ runner, run: workflowId, signal, journal });
      const whole = { ...segment, scope };
      const outcome = await interpretSegment(whole, host);
      if (segment.answer && !outcome.failure && !outcome.interrupted) {
        await publishAnswer(redis, segment.answer.to, { run: workflowId, result: answerOf(whole, outcome) });
      }
      return outcome;
    } catch (error) {
      if (cancellationSignal.aborted) throw new CancelledFailure('the segment was cancelled');
      if (ending) return { done: {}, rows: [], ending };
      // Nobody looks at what an abandoned segment gives; one without a journal has not begun.
      if (signal.aborted || (error instanceof MillraceError && error.code === 'JOURNAL_UNAVAILABLE')) {
        return { done: {}, rows: [], interrupted: true };
      }
      throw error;
    } finally {
      watch.stop();
      end();
    }
  };
}

function journalOf(journal: SegmentJournal): Journal {
  return {
    ended: (call) => journal.ended(nameOf(call)) as Ended | undefined,
    begin: (call) => orStageError(journal.begin(nameOf(call))),
    end: (call, ended) => journal.end(nameOf(call), ended as unknown as Json),
  };
}

/** A stage and what serves it: its alternatives are calls of their own. */
const nameOf = ({ path, stage, kind, model, with: options, cache }: StageCall): string =>
  `${path ?? stage} ${jsonHash([kind, model, options, cache?.only ?? false]).slice(0, 8)}`;

async function orStageError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof MillraceError) throw new StageError(error.code, error.message);
    throw error;
  }
}
