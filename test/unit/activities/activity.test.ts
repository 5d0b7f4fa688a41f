import { setTimeout as sleep } from 'node:timers/promises';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { expect, it } from 'vitest';
import { createActivities } from '../../../activities/activity.js';
import type { StageRunner } from '../../../activities/stage-runner.js';
import type { StageCall } from '../../../pipelines/plan/index.js';

it('an attempt may have more time than a timer of Node’s can be set for', async () => {
  const runner = {
    run: async (_input: unknown, _call: unknown, { signal }: { signal: AbortSignal }) => {
      await sleep(20, undefined, { signal });
      return 'done';
    },
  } as unknown as StageRunner;
  const context = {
    info: { startToCloseTimeoutMs: 2 ** 32, attempt: 1, currentAttemptScheduledTimestampMs: Date.now() },
    cancellationSignal: new AbortController().signal,
  } as unknown as Context;
  const call = { stage: 'a', retry: { attempts: 1 } } as unknown as StageCall;
  const run = asyncLocalStorage.run(context, () => createActivities(runner).default({}, call));
  await expect(run).resolves.toBe('done');
});
