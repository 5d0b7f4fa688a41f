import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import { createRecordedActivity } from '../../../../activities/stage/recorded-activity.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { StageOutcome } from '../../../../pipelines/run/index.js';
import { prompt, stage } from './runner-of.js';

const LARGE = { large: true };
const outcome = { output: { text: 'Paid.' } } as unknown as StageOutcome;
type Earlier = (...asked: readonly unknown[]) => Promise<StageOutcome | undefined>;
function asked(earlier?: Earlier, isLocal = false) {
  const context = { info: { workflowExecution: { workflowId: 'run-1' }, isLocal } } as unknown as Context;
  return asyncLocalStorage.run(context, () =>
    createRecordedActivity(earlier ? { earlier } : {})(prompt, { recorded: { call: stage, since: 7 } }),
  );
}

it('what an attempt has recorded is found by its call, its input and its time', async () => {
  const seen: unknown[] = [];
  const found = await asked(async (...of) => {
    seen.push(of);
    return outcome;
  });
  expect([found, seen]).toEqual([outcome, [[prompt, stage, 'run-1', 7, undefined]]]);
});

it('nothing is found where nothing is recorded, or this worker has no records', async () => {
  expect(await asked(async () => undefined)).toBeNull();
  expect(await asked(async () => undefined, true)).toBeNull();
  expect(await asked()).toBeNull();
});

it('a store that is away is asked again', async () => {
  const away = asked(async () => {
    throw new MillraceError('STORE_UNAVAILABLE', 'fails over');
  });
  await expect(away).rejects.toMatchObject({ type: 'STORE_UNAVAILABLE', nonRetryable: false });
});

describe('a local activity', () => {
  it('returns an outcome that is small', async () => {
    expect(await asked(async () => outcome, true)).toEqual(outcome);
  });

  it('says of a larger one that it is there', async () => {
    const large = { output: { text: 'x'.repeat(5_000) } } as unknown as StageOutcome;
    expect(await asked(async () => large, true)).toEqual(LARGE);
    expect(await asked(async () => large)).toEqual(large);
  });

  it('reads none that the artifact store has: a store that hangs would hide that the call has ended', async () => {
    const hangs: Earlier = async (_input, _call, _run, _since, unread) =>
      unread === undefined ? await new Promise<never>(() => undefined) : (unread as StageOutcome);
    expect(await asked(hangs, true)).toEqual(LARGE);
  });
});
