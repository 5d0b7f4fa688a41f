import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { isErrorCode } from '../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import type { StagePlan } from '../pipelines/plan/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { takes } from './changes.js';
import { type NotBegun, notBegun } from './elsewhere.js';
import { stageError } from './failures.js';

/** Codes by which the run itself is controlled; another worker's failure of this type is a failure like any other. */
const OF_RUNS: ReadonlySet<string> = new Set([
  'DEADLINE_EXCEEDED',
  'JOURNAL_UNAVAILABLE',
  'RECORD_GONE',
  'RESUME_DIVERGED',
  'RUN_CANCELLED',
  'UNKNOWN_PLAN_VERSION',
  'WORKER_LOST',
]);

/**
 * Least wait for a worker, in milliseconds: Temporal takes some milliseconds to hand out a task, also where a worker is
 * waiting for one.
 */
const LEAST_PATIENCE_MS = 500;

/** How long a call with an alternative waits for a worker, in milliseconds; undefined without one. */
export const patienceOf = ({ policy: { patienceMs } }: StagePlan): number | undefined =>
  patienceMs === undefined ? undefined : Math.max(LEAST_PATIENCE_MS, patienceMs);

/** Longest part of a foreign message that is kept, in characters, and most bytes of details: a run ends with them. */
const LONGEST_MESSAGE = 2_000;
const MOST_DETAILS = 16_000;

/** Maps the last failure of a call of another worker to a code of the error table. */
export function foreignError(stage: StagePlan, queue: string, error: unknown): StageError {
  const { id, kind } = stage;
  const cause = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return ofFailure(stage, cause);
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === 'SCHEDULE_TO_START') {
      const patience = patienceOf(stage);
      const none = `stage "${id}": no worker of the task queue "${queue}" took it within`;
      // Without an alternative it waits until its total time is over.
      if (patience === undefined)
        return new StageError('STAGE_TIMEOUT', `${none} ${stage.policy.timeout.totalMs} ms`, { stage: id });
      const { begun, lost }: NotBegun = notBegun(cause) ?? { begun: 0 };
      // How far a lost attempt came is not known: heartbeats are the other worker’s own.
      const unsent = lost ? !takes('lost-attempts-count') : begun === 0;
      const details = { stage: id, ...(unsent && { unsent: true }) };
      return new StageError('BACKEND_UNAVAILABLE', `${none} ${patience} ms`, details);
    }
    const { code, message, details } = stageError(stage, cause);
    return new StageError(code, `${message} on the task queue "${queue}"`, details);
  }
  if (cause instanceof CancelledFailure && kind === 'workflow')
    return new StageError('CHILD_CANCELLED', `stage "${id}": its workflow was cancelled`, { stage: id });
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new StageError('ACTIVITY_FAILED', `stage "${id}": ${text.slice(0, LONGEST_MESSAGE)}`, { stage: id });
}

/** A type that is a code of Millrace keeps its meaning, with its details. */
function ofFailure({ id }: StagePlan, { type, message: given, details }: ApplicationFailure): StageError {
  const message = given.slice(0, LONGEST_MESSAGE);
  if (isErrorCode(type) && !OF_RUNS.has(type)) {
    return new StageError(type, `stage "${id}": ${message}`, { ...kept(details?.[0] as Json), stage: id });
  }
  const named = type ? `${type}: ${message}` : message;
  return new StageError('ACTIVITY_FAILED', `stage "${id}": ${named}`, { type: type ?? '', message, stage: id });
}

/** A stage table, of a run that is called as a workflow, is in its own history. */
function kept(details: Json | undefined): JsonObject {
  if (!isJsonObject(details)) return {};
  const { stages: _, ...own } = details;
  return bytesOf(own) <= MOST_DETAILS ? own : {};
}
