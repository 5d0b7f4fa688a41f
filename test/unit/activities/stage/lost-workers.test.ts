import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { expect, it, vi } from 'vitest';
import { createActivities } from '../../../../activities/stage/activity.js';
import type { StageRunner } from '../../../../activities/stage/stage-runner.js';
import { reply, runnerOf, stage } from './runner-of.js';

it.each([
  { code: 'WORKER_LOST', why: 'has lost two workers in a row', attempt: 3, attempts: 5, losses: 1 },
  { code: 'STAGE_TIMEOUT', why: 'has lost the worker of its last attempt', attempt: 2, attempts: 1, losses: 0 },
])('a call that $why is counted, and not made again', async ({ code, attempt, attempts, losses }) => {
  const { runner, calls, metrics } = runnerOf(reply);
  const lastFailure = { timeoutFailureInfo: { timeoutType: 4 } };
  const describe = async () => ({ raw: { pendingActivities: [{ activityId: '1', lastFailure }] } });
  const context = {
    info: {
      ...{ startToCloseTimeoutMs: 60_000, attempt, activityId: '1' },
      scheduledTimestampMs: Date.now() - 7_000,
      currentAttemptScheduledTimestampMs: Date.now(),
      heartbeatDetails: { waits: 0, waitedMs: 0, lost: { losses } },
    },
    client: {
      withDeadline: (_: number, work: () => Promise<unknown>) => work(),
      workflow: { getHandle: () => ({ describe }) },
    },
    cancellationSignal: new AbortController().signal,
    heartbeat: vi.fn(),
  } as unknown as Context;
  const call = { ...stage, retry: { ...stage.retry, attempts } };
  const run = asyncLocalStorage.run(context, () => createActivities(runner as StageRunner).default({}, call));
  await expect(run).rejects.toMatchObject({ type: code, nonRetryable: true });
  expect(calls).toEqual([]);
  const { values } = await metrics.stageSeconds.get();
  const found = (end: string) => values.find(({ metricName }) => metricName?.endsWith(end));
  expect(found('_count')).toMatchObject({ value: 1, labels: { pipeline: 'p', stage: 'answer', outcome: code } });
  expect(found('_sum')?.value).toBeGreaterThanOrEqual(7);
});
