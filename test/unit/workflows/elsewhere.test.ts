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
import { type OnQueue, onFirstQueue } from '../../../workflows/elsewhere.js';
import { stageError } from '../../../workflows/failures.js';
import { inHistory } from '../../support/in-history.js';

const historyHas = inHistory();

const placed = {
  connector: 'triton',
  device: 'gpu0',
  queue: 'q.gpu0',
  elsewhere: [
    { queue: 'q.gpu1', device: 'gpu1' },
    { queue: 'q', device: 'any' },
  ],
  patienceMs: 500,
};

const failed = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'speak', '1', RetryState.TIMEOUT, 'worker', cause);
/** As it comes from the server: with the failure before it, which the SDK leaves in its protocol form. */
const timeout = (type: TimeoutType, before?: Error, left?: object) =>
  Object.assign(
    new TimeoutFailure('activity timeout', left, type),
    before && { failure: { cause: defaultFailureConverter.errorToFailure(before, defaultPayloadConverter) } },
  );
const notTaken = (before?: Error, left?: object) => failed(timeout(TimeoutType.SCHEDULE_TO_START, before, left));
const LOST = timeout(TimeoutType.HEARTBEAT);
const broken = (attempt: number) =>
  ApplicationFailure.create({ type: 'BACKEND_UNAVAILABLE', message: 'gone', details: [{ stage: 'speak', attempt }] });

/** Runs on the queues with what each of them does. */
async function tried(outcomes: readonly (Error | string)[], attempts = 3) {
  const seen: OnQueue[] = [];
  const ended = await onFirstQueue(placed, attempts, async (on) => {
    const outcome = outcomes[seen.length];
    seen.push(on);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  return { seen, ...ended };
}

describe('a stage that is placed on several devices', () => {
  it('runs on the first, which has only so long to take it', async () => {
    const { seen, ...ended } = await tried(['done']);
    expect(ended).toEqual({ value: 'done' });
    expect(seen).toEqual([{ queue: 'q.gpu0', device: 'gpu0', patienceMs: 500, begun: 0 }]);
  });

  it('goes on to the next where nobody takes it, and waits on the last as long as its policy says', async () => {
    const { seen, ...ended } = await tried([notTaken(), notTaken(), 'done']);
    expect(ended).toEqual({ value: 'done' });
    expect(seen.map(({ queue, patienceMs }) => [queue, patienceMs])).toEqual([
      ['q.gpu0', 500],
      ['q.gpu1', 500],
      ['q', undefined],
    ]);
  });

  it('takes the attempts that had begun with it', async () => {
    const { seen } = await tried([notTaken(broken(2)), 'done']);
    expect(seen.map(({ begun }) => begun)).toEqual([0, 2]);
  });

  it.each<[string, Error | undefined, true | undefined]>([
    ['none had begun', undefined, undefined],
    ['one has failed', broken(1), true],
    ['one was lost with its worker', LOST, true],
  ])('says on the next whether an attempt may have written: %s', async (_, before, again) => {
    const { seen } = await tried([notTaken(before), 'done']);
    expect(seen.map((on) => on.again)).toEqual([undefined, again]);
  });

  it.each<[string, Error | undefined, true | undefined]>([
    ['none had begun', undefined, undefined],
    ['one has failed', broken(1), undefined],
    ['one was lost with its worker', timeout(TimeoutType.HEARTBEAT), true],
  ])('says on all that follow whether an attempt may have ended without a report: %s', async (_, before, lost) => {
    const { seen } = await tried([notTaken(before), notTaken(), 'done']);
    expect(seen.map((on) => on.lost)).toEqual([undefined, lost, lost]);
  });

  it('fails with what its last attempt failed with when none is left', async () => {
    const failure = broken(3);
    const { seen, ...ended } = await tried([notTaken(failure), 'done']);
    expect(ended).toMatchObject({ error: { type: 'BACKEND_UNAVAILABLE', message: 'gone' } });
    expect(seen).toHaveLength(1);
  });

  describe('whose worker was lost', () => {
    const SHUT_DOWN = ApplicationFailure.create({ type: 'WorkerShutdown', message: 'the worker stops' });
    const left = (waits: number, lost: object) => ({ waits, waitedMs: 0, lost: { losses: 0, ...lost } });

    it.each<[string, object | undefined]>([
      ['it may have begun, as no heartbeat says otherwise', undefined],
      ['it had begun', left(0, { attempt: 1 })],
      ['it followed one in which no server was there', left(1, { attempt: 1, ended: 1 })],
    ])('is not given to the next queue after its last attempt: %s', async (_, details) => {
      const { seen, ...ended } = await tried([notTaken(LOST, details), 'done'], 1);
      expect(ended).toMatchObject({ error: { timeoutType: 'HEARTBEAT' } });
      expect(seen).toHaveLength(1);
    });

    it.each<[string, Error, object | undefined, number]>([
      ['one that sent no heartbeat', LOST, undefined, 1],
      ['one that rested', LOST, left(1, { attempt: 1, rests: true }), 0],
      ['the second one', LOST, left(0, { attempt: 2 }), 2],
      ['one that followed a call and a wait', LOST, left(1, { attempt: 3 }), 2],
      ['one after the one that has left this', LOST, left(0, { attempt: 1, ended: 1 }), 2],
      ['one after a wait that has left this', LOST, left(2, { attempt: 2, ended: 2 }), 1],
      ['one of a worker of an earlier release', LOST, left(0, {}), 1],
      ['one after that of an earlier release', LOST, left(0, { ended: 2 }), 3],
      ['one that its worker stopped as it ended', SHUT_DOWN, left(0, { attempt: 2, ended: 2 }), 2],
    ])('has on the next queue the attempts that are left: %s', async (_, before, details, begun) => {
      const { seen, ...ended } = await tried([notTaken(before, details), 'done'], 9);
      expect(ended).toEqual({ value: 'done' });
      expect(seen[1]?.begun).toBe(begun);
    });

    it('is told with the failure of its queue, for the versions of a function', () => {
      const { code, details } = stageError({ id: 'speak' }, notTaken(LOST, left(0, { attempt: 2 })));
      expect([code, details]).toEqual(['QUEUE_TIMEOUT', { stage: 'speak', begun: 2, lost: true }]);
    });

    it('goes on as it did in a run that a worker of an earlier release has brought past this', async () => {
      historyHas(false);
      const { seen } = await tried([notTaken(LOST, left(0, { attempt: 2 })), 'done'], 1);
      expect(seen.map(({ begun }) => begun)).toEqual([0, 0]);
    });
  });

  it('fails as it is for anything but a wait', async () => {
    const failure = failed(broken(3));
    expect(await tried([failure, 'done'])).toMatchObject({ error: failure, seen: [{ queue: 'q.gpu0' }] });
    const slow = failed(timeout(TimeoutType.START_TO_CLOSE));
    expect(await tried([slow, 'done'])).toMatchObject({ error: slow, seen: [{ queue: 'q.gpu0' }] });
  });

  it('fails where nobody takes it on the last', async () => {
    const last = notTaken();
    expect(await tried([notTaken(), notTaken(), last])).toMatchObject({ error: last });
  });
});
