import type { Client } from '@temporalio/client';
import { describe, expect, it, vi } from 'vitest';
import { isFirstAttempt, passOn } from '../../../../workers/hosts/workflow-tasks.js';

const temporal = (attempt: number | undefined, events: readonly object[]) =>
  ({
    options: { namespace: 'default' },
    withDeadline: (_: number, work: () => unknown) => work(),
    workflow: { getHandle: () => ({ describe: async () => ({ raw: { pendingWorkflowTask: { attempt } } }) }) },
    workflowService: { getWorkflowExecutionHistoryReverse: async () => ({ history: { events } }) },
  }) as unknown as Client;

describe('the attempt at a workflow task', () => {
  it.each([
    ['the first of a new run', 1, [{}], true],
    ['a later one', 2, [{}], false],
    ['counted anew after a worker was lost', 1, [{}, { workflowTaskTimedOutEventAttributes: {} }], false],
    ['counted anew after a task had failed', 1, [{ workflowTaskFailedEventAttributes: {} }], false],
    ['unknown', undefined, [], false],
  ])('%s', async (_, attempt, events, first) => {
    expect(await isFirstAttempt(temporal(attempt, events), 'run', 'id')).toBe(first);
  });

  it('is not the first where Temporal does not answer', async () => {
    const away = { withDeadline: () => Promise.reject(new Error('away')) } as unknown as Client;
    expect(await isFirstAttempt(away, 'run', 'id')).toBe(false);
  });
});

it('a run’s next task goes to any worker, and an error of Temporal’s is not thrown', async () => {
  const reset = vi.fn(() => Promise.reject(new Error('not found')));
  await passOn(
    { ...temporal(1, []), workflowService: { resetStickyTaskQueue: reset } } as unknown as Client,
    'run',
    'id',
  );
  expect(reset).toHaveBeenCalledWith({ namespace: 'default', execution: { workflowId: 'run', runId: 'id' } });
});
