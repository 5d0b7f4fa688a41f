import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { isFirstAttempt, PassedTasks } from '../../../workers/task-attempts.js';

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
    ['counted anew after a task was passed on', 1, [{ workflowTaskFailedEventAttributes: {} }], false],
    ['unknown', undefined, [], false],
  ])('%s', async (_, attempt, events, first) => {
    expect(await isFirstAttempt(temporal(attempt, events), 'run', 'id')).toBe(first);
  });

  it('is not the first where Temporal does not answer', async () => {
    const away = { withDeadline: () => Promise.reject(new Error('away')) } as unknown as Client;
    expect(await isFirstAttempt(away, 'run', 'id')).toBe(false);
  });
});

it('a task that comes back is kept once before it is passed on again; another run’s is its own', () => {
  const passed = new PassedTasks();
  expect(['a', 'a', 'b', 'a', 'b'].map((run) => passed.pass(run))).toEqual([true, false, true, true, false]);
  for (let i = 0; i < 20_000; i++) passed.pass(`run ${i}`);
  expect(passed.pass('a')).toBe(true);
});
