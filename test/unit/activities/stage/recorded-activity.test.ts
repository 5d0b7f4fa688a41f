import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { expect, it } from 'vitest';
import { createRecordedActivity } from '../../../../activities/stage/recorded-activity.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { StageOutcome } from '../../../../pipelines/run/index.js';
import { prompt, stage } from './runner-of.js';

const outcome = { output: { text: 'Paid.' } } as unknown as StageOutcome;
const context = { info: { workflowExecution: { workflowId: 'run-1' } } } as unknown as Context;
type Earlier = (...asked: readonly unknown[]) => Promise<StageOutcome | undefined>;
const asked = (earlier?: Earlier) =>
  asyncLocalStorage.run(context, () =>
    createRecordedActivity(earlier ? { earlier } : {})(prompt, { recorded: { call: stage, since: 7 } }),
  );

it('what an attempt has recorded is found by its call, its input and its time', async () => {
  const seen: unknown[] = [];
  const found = await asked(async (...of) => {
    seen.push(of);
    return outcome;
  });
  expect([found, seen]).toEqual([outcome, [[prompt, stage, 'run-1', 7]]]);
});

it('nothing is found where nothing is recorded, or this worker has no records', async () => {
  expect(await asked(async () => undefined)).toBeNull();
  expect(await asked()).toBeNull();
});

it('a store that is away is asked again', async () => {
  const away = asked(async () => {
    throw new MillraceError('STORE_UNAVAILABLE', 'fails over');
  });
  await expect(away).rejects.toMatchObject({ type: 'STORE_UNAVAILABLE', nonRetryable: false });
});
