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
import { mayBeRecorded } from '../../../workflows/recorded-outcome.js';
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
