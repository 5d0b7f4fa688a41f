import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { isAway } from '../../../pipelines/errors.js';
import type { StagePlan } from '../../../pipelines/plan/index.js';
import { foreignError } from '../../../workflows/foreign-failures.js';
import { inHistory } from '../../support/in-history.js';

const historyHas = inHistory();

const stage = {
  id: 'clean',
  kind: 'activity',
  policy: { timeout: { attemptMs: 10, totalMs: 20 }, patienceMs: 1_000 },
} as unknown as StagePlan;

const activity = (cause: Error) => new ActivityFailure(undefined, 'denoise', '1', 'TIMEOUT', undefined, cause);
const child = (cause: Error) =>
  new ChildWorkflowFailure('default', { workflowId: 'w', runId: 'r' }, 'Score', 'TIMEOUT', cause);
const failure = (type: string | undefined, details: unknown[] = [], message = 'bad') =>
  ApplicationFailure.create({ ...(type && { type }), message, details });
const of = (error: Error, kind = 'activity') => {
  const { code, message, details } = foreignError({ ...stage, kind }, 'python', error);
  return { code, message, details };
};

describe('the failure of a call of another worker', () => {
  it('keeps a code of the error table, with its details', () => {
    const fields = [{ field: 'x', message: 'is wrong' }];
    expect(of(activity(failure('INVALID_INPUT', [{ fields, stages: ['rows'] }])))).toEqual({
      code: 'INVALID_INPUT',
      message: 'stage "clean": bad',
      details: { fields, stage: 'clean' },
    });
    const away = of(activity(failure('BACKEND_UNAVAILABLE', [{ unsent: true }])));
    expect(isAway(away)).toBe(true);
    expect(of(activity(failure('BACKEND_ERROR', ['text']))).details).toEqual({ stage: 'clean' });
    expect(of(activity(failure('BACKEND_ERROR', [{ text: 'x'.repeat(20_000) }]))).details).toEqual({ stage: 'clean' });
  });

  it.each(['DEADLINE_EXCEEDED', 'JOURNAL_UNAVAILABLE', 'RECORD_GONE', 'RUN_CANCELLED'])(
    'is no %s of the run',
    (type) => {
      expect(of(activity(failure(type))).code).toBe('ACTIVITY_FAILED');
    },
  );

  it('is ACTIVITY_FAILED with its type and message', () => {
    for (const around of [activity, child]) {
      expect(of(around(failure('ValueError')))).toEqual({
        code: 'ACTIVITY_FAILED',
        message: 'stage "clean": ValueError: bad',
        details: { type: 'ValueError', message: 'bad', stage: 'clean' },
      });
    }
    expect(of(activity(failure(undefined))).message).toBe('stage "clean": bad');
    expect(of(activity(failure('E', [], 'x'.repeat(9_000)))).message.length).toBeLessThan(2_100);
    expect(of(child(new TerminatedFailure('by hand')))).toMatchObject({
      code: 'ACTIVITY_FAILED',
      message: 'stage "clean": TerminatedFailure: by hand',
    });
  });

  it('is that of a server that is away where no worker took it in time', () => {
    const timeout = new TimeoutFailure('late', undefined, 'SCHEDULE_TO_START');
    const found = of(activity(timeout));
    expect(found).toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: 'stage "clean": no worker of the task queue "python" took it within 1000 ms',
    });
    expect(isAway(found)).toBe(true);
    const { patienceMs: _, ...policy } = stage.policy;
    expect(foreignError({ ...stage, policy }, 'python', activity(timeout))).toMatchObject({
      code: 'STAGE_TIMEOUT',
      message: 'stage "clean": no worker of the task queue "python" took it within 20 ms',
    });
  });

  it('is no server that is away where an attempt was lost before: it may have been made', () => {
    const before = { cause: { timeoutFailureInfo: { timeoutType: 4 } } };
    const timeout = new TimeoutFailure('late', { waits: 1, lost: { attempt: 1, rests: true } }, 'SCHEDULE_TO_START');
    const found = () => of(activity(Object.assign(timeout, { failure: before })));
    expect(found()).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { stage: 'clean' } });
    expect(isAway(found())).toBe(false);
    historyHas(false);
    expect(isAway(found())).toBe(true);
  });

  it.each([[null], ['a text'], [{ lost: null }], [{ waits: 'x', lost: 7 }]])(
    'is told whatever the other worker’s heartbeats have: %j',
    (left) => {
      const before = { cause: { timeoutFailureInfo: { timeoutType: 4 } } };
      const timeout = new TimeoutFailure('late', left, 'SCHEDULE_TO_START');
      const found = of(activity(Object.assign(timeout, { failure: before })));
      expect(found).toMatchObject({ code: 'BACKEND_UNAVAILABLE', details: { stage: 'clean' } });
      expect(isAway(found)).toBe(false);
    },
  );

  it('is a timeout of the stage otherwise', () => {
    for (const type of ['START_TO_CLOSE', 'SCHEDULE_TO_CLOSE', 'HEARTBEAT'] as const) {
      const found = of(activity(new TimeoutFailure('late', undefined, type)));
      expect(found.code).toBe('STAGE_TIMEOUT');
      expect(found.message).toContain('task queue "python"');
    }
    expect(of(child(new TimeoutFailure('late', undefined, 'START_TO_CLOSE')), 'workflow').code).toBe('STAGE_TIMEOUT');
  });

  it('is that of a child that was cancelled alone', () => {
    expect(of(child(new CancelledFailure('cancelled')), 'workflow').code).toBe('CHILD_CANCELLED');
    expect(of(activity(new CancelledFailure('cancelled'))).code).toBe('ACTIVITY_FAILED');
  });
});
