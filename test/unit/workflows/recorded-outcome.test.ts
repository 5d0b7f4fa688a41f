import {
  ActivityFailure,
  ApplicationFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
  RetryState,
  TimeoutFailure,
  TimeoutType,
} from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { StageCall } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { longestMs, mayBeRecorded, orRecorded } from '../../../workflows/recorded-outcome.js';
import { inHistory } from '../../support/in-history.js';

const historyHas = inHistory();

const failed = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'pay', '1', RetryState.TIMEOUT, 'worker', cause);
const timeout = (type: TimeoutType, before?: Error) =>
  Object.assign(
    new TimeoutFailure('activity timeout', undefined, type),
    before && { failure: { cause: defaultFailureConverter.errorToFailure(before, defaultPayloadConverter) } },
  );
const LOST = timeout(TimeoutType.HEARTBEAT);
const REFUSED = ApplicationFailure.create({ type: 'BACKEND_REJECTED', message: 'no' });

describe('the record is asked before a stage fails', () => {
  it.each<[string, Error]>([
    ['whose worker was lost', failed(LOST)],
    ['whose worker was lost on a queue before', LOST],
    ['whose next attempt nobody takes after that', failed(timeout(TimeoutType.SCHEDULE_TO_START, LOST))],
    ['whose attempt took too long', failed(timeout(TimeoutType.START_TO_CLOSE))],
    ['whose time is over', failed(timeout(TimeoutType.SCHEDULE_TO_CLOSE, LOST))],
  ])('%s', (_, error) => {
    expect(mayBeRecorded(error, {})).toBe(true);
    historyHas(false);
    expect(mayBeRecorded(error, {})).toBe(false);
  });

  it.each<[string, Error]>([
    ['whose call has failed', failed(REFUSED)],
    ['that nobody has begun', failed(timeout(TimeoutType.SCHEDULE_TO_START))],
    ['whose next attempt nobody takes after a failed one', failed(timeout(TimeoutType.SCHEDULE_TO_START, REFUSED))],
  ])('but not of one %s', (_, error) => {
    expect(mayBeRecorded(error, {})).toBe(false);
  });

  it('but not where nothing is recorded, or the input is not known', () => {
    expect(mayBeRecorded(failed(LOST), { record: 'off' })).toBe(false);
    expect(mayBeRecorded(failed(LOST), { held: { kind: 'http', entries: {} } })).toBe(false);
  });
});

describe('a stage whose attempt was lost', () => {
  const TIMED_OUT = 'STAGE_TIMEOUT';
  /** Code of the stage's failure, where the record answers like this. */
  async function failure(kind: string, answer: () => unknown): Promise<string> {
    const call = { stage: 'pay', kind } as unknown as StageCall;
    const inTurn = async <T>() => (await answer()) as T;
    const room = () => Promise.reject(new Error('the outcome cannot be fetched'));
    const begin = <T>(work: (waitedMs: number) => Promise<T>) => work(0);
    const asked = { call, input: {}, since: 0, inTurn, room, begin };
    const outcomeAfter = orRecorded(asked, () => new StageError(TIMED_OUT, 'lost'));
    const ended: unknown = await outcomeAfter(failed(LOST)).catch((error: unknown) => error);
    return ended instanceof StageError ? ended.code : 'none';
  }
  const throwing =
    (type: string, ...details: readonly object[]) =>
    () => {
      throw failed(ApplicationFailure.create({ type, message: 'no', details: [...details] }));
    };

  it('fails with `RECORD_GONE` if its call has effects and has ended, and its outcome cannot be fetched', async () => {
    const large = () => ({ large: true });
    // Another candidate would pay again.
    expect(await failure('code', large)).toBe('RECORD_GONE');
    expect(await failure('chat', large), 'a model may be asked again').toBe(TIMED_OUT);
  });

  it('fails as its attempt where the history has gone on with another candidate', async () => {
    historyHas((change) => change !== 'ended-calls-end-their-stage');
    expect(await failure('code', () => ({ large: true }))).toBe(TIMED_OUT);
  });

  it('waits for the answer whether an effect was had, though other work has all slots of the worker for minutes', () => {
    const callOf = (kind: string) => ({ stage: 'pay', kind }) as unknown as StageCall;
    for (const isLate of [true, false]) {
      expect(longestMs(callOf('code'), isLate)).toBe(600_000);
      expect(longestMs(callOf('chat'), isLate), 'a model may be asked again').toBeLessThan(60_000);
    }
  });

  it('fails with `RECORD_GONE` if its call has ended by an entry that lacks the outcome', async () => {
    const empty = throwing('RECORD_GONE', { recorded: true });
    expect(await failure('code', empty)).toBe('RECORD_GONE');
    expect(await failure('chat', empty)).toBe(TIMED_OUT);
  });

  it('fails as its attempt if nothing is recorded, or the store does not say so', async () => {
    expect(await failure('code', () => null)).toBe(TIMED_OUT);
    expect(await failure('code', throwing('STORE_UNAVAILABLE', { unreached: true }))).toBe(TIMED_OUT);
    expect(await failure('code', throwing('STORE_UNAVAILABLE'))).toBe(TIMED_OUT);
  });
});
