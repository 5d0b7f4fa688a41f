import { ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { childError, runFailure } from '../../../workflows/failures.js';

const failed = (code: string, message: string, details = {}) =>
  runFailure(new StageError(code, message, details), false) as ApplicationFailure;

test.each([
  ['stage "total": no such order', { stage: 'total' }, 'no such order (CODE_FAILED, stage "total")'],
  ['run "child": stage "total": no such order', { stage: 'child' }, 'no such order (CODE_FAILED, stage "child")'],
  ['no such order', {}, 'no such order (CODE_FAILED)'],
  ['stage "total" timed out', { stage: 'total' }, 'stage "total" timed out (CODE_FAILED, stage "total")'],
])('the failure of a run starts with what went wrong: %s', (message, details, headline) => {
  const failure = failed('CODE_FAILED', message, details);
  expect(failure.message).toBe(headline);
  expect(failure.details?.[0]).toMatchObject({ ...details, message });
  expect(failure.type).toBe('CODE_FAILED');
});

test('the failure of a run has texts that Temporal can store', () => {
  const half = '🙂'.slice(0, 1);
  const own = failed('CODE_FAILED', `no ${half}`, { stack: `Error: no ${half}` });
  const bug = runFailure(new Error(half), false) as ApplicationFailure;
  for (const { message, stack, cause } of [own, bug])
    expect([message, stack, cause?.message, cause?.stack].join('\n')).not.toMatch(/\p{Cs}/u);
});

test('a run gets the message of its child without code and stage in it', () => {
  const cause = failed('CODE_FAILED', 'stage "total": no such order', { stage: 'total', stages: [] });
  const error = childError('child', childFailure(cause));
  expect(error.message).toBe('run "child": stage "total": no such order');
  expect(error.details).toEqual({ stage: 'child', run: 'w/child' });
  const old = ApplicationFailure.create({
    type: 'CODE_FAILED',
    message: 'stage "total": no such order',
    details: [{}],
  });
  expect(childError('child', childFailure(old)).message).toBe('run "child": stage "total": no such order');
});

const childFailure = (cause: Error) =>
  new ChildWorkflowFailure('default', { workflowId: 'w/child', runId: 'r' }, 'p', 'NON_RETRYABLE_FAILURE', cause);
