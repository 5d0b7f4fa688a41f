import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { ActivityCancelledError, ActivityNotFoundError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createActivities } from '../../../../activities/stage/activity.js';
import type { Attempt, StageRunner } from '../../../../activities/stage/stage-runner.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { activity, describing, failureOf } from './attempt-scene.js';

describe('a task that comes late', () => {
  /** What happens to a task scheduled `lateMs` ago, where Temporal answers its heartbeats as given, one after the other. */
  async function late(lateMs: number, answers: readonly (Error | 'ok')[], startToCloseTimeoutMs = 60_000) {
    let begun = 0;
    const beats: unknown[] = [];
    const left = [...answers];
    const heartbeat = async (token: Uint8Array, details: unknown) => {
      beats.push([...token, details]);
      const answer = left.length > 1 ? left.shift() : left[0];
      if (answer instanceof Error) throw answer;
    };
    const failure = await failureOf(
      activity({
        run: async () => (begun += 1),
        info: {
          startToCloseTimeoutMs,
          currentAttemptScheduledTimestampMs: Date.now() - lateMs,
          heartbeatDetails: { progress: 7 },
          taskToken: new Uint8Array([1]),
        },
        more: { client: { ...describing(), activity: { heartbeat } }, log: { warn: () => undefined } },
      }),
    );
    return { begun, beats, failure };
  }

  it('is begun at once while Temporal cannot have given it to another worker', async () => {
    expect(await late(300, [new Error('unreachable')])).toEqual({ begun: 1, beats: [], failure: undefined });
  });

  it('is begun if Temporal still expects its result, with the progress of earlier attempts kept', async () => {
    expect(await late(12_000, ['ok'])).toEqual({ begun: 1, beats: [[1, { progress: 7 }]], failure: undefined });
  });

  it('is not begun if another worker has it or has completed it', async () => {
    const { begun, failure } = await late(12_000, [new ActivityNotFoundError('gone')]);
    expect(begun).toBe(0);
    expect(failure).toBeInstanceOf(CancelledFailure);
  });

  it('is begun no earlier than Temporal answers, and never if it does not', async () => {
    const away = new Error('unreachable');
    expect(await late(12_000, [away, away, 'ok'])).toMatchObject({ begun: 1, failure: undefined });
    const { begun, failure } = await late(12_000, [away], 600);
    expect(begun).toBe(0);
    expect(failure).toBeInstanceOf(CancelledFailure);
  });

  it('is left to its own heartbeats where the run is being cancelled', async () => {
    expect(await late(12_000, [new ActivityCancelledError('cancelled')])).toMatchObject({ begun: 1 });
  });
});

it('a task that comes late to a worker whose clock is behind is told from those that came in time', async () => {
  const made: number[] = [];
  const runner = {
    run: async (_: unknown, { stage }: StageCall) => made.push(Number(stage)),
  } as unknown as StageRunner;
  const { default: activityOf } = createActivities(runner);
  const client = {
    ...describing(),
    activity: { heartbeat: () => Promise.reject(new ActivityNotFoundError('gone')) },
  };
  const take = (stage: string, lateMs: number) => {
    const context = {
      info: {
        ...{ startToCloseTimeoutMs: 60_000, attempt: 1, taskToken: new Uint8Array([1]) },
        // Six seconds behind.
        currentAttemptScheduledTimestampMs: Date.now() + 6_000 - lateMs,
      },
      client,
      cancellationSignal: new AbortController().signal,
      heartbeat: () => undefined,
      log: { warn: () => undefined },
    } as unknown as Context;
    const call = { stage, retry: { attempts: 1 } } as unknown as StageCall;
    return asyncLocalStorage.run(context, () => failureOf(activityOf({}, call)));
  };
  expect(await take('1', 20)).toBeUndefined();
  expect(await take('2', 600)).toBeUndefined();
  expect(await take('3', 5_500)).toBeInstanceOf(CancelledFailure);
  expect(await take('4', 20)).toBeUndefined();
  expect(made).toEqual([1, 2, 4]);
});

describe('a call that has waited for its turn', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** What becomes of a call that begins `waitedMs` after its task, where Temporal answers the questions of its worker as given. */
  async function waited(waitedMs: number, answers: readonly (Error | 'ok')[]) {
    const real = performance.now.bind(performance);
    let ahead = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => real() + ahead);
    let made = 0;
    let signal: AbortSignal | undefined;
    const asked: unknown[] = [];
    const runner = {
      run: async (_input: unknown, _call: unknown, attempt: Pick<Attempt, 'checkpoint' | 'mayBegin' | 'signal'>) => {
        signal = attempt.signal;
        attempt.checkpoint({ task: 't' });
        ahead += waitedMs;
        await attempt.mayBegin?.();
        made += 1;
        return 'done';
      },
    } as unknown as StageRunner;
    const left = [...answers];
    const context = {
      info: {
        startToCloseTimeoutMs: 60_000,
        attempt: 1,
        currentAttemptScheduledTimestampMs: Date.now(),
        taskToken: new Uint8Array([1]),
      },
      client: {
        withDeadline: (_: number, act: () => Promise<void>) => act(),
        activity: {
          heartbeat: async (_: Uint8Array, details: unknown) => {
            asked.push(details);
            const answer = left.shift();
            if (answer instanceof Error) throw answer;
          },
        },
      },
      cancellationSignal: new AbortController().signal,
      heartbeat: () => undefined,
      log: { warn: () => undefined },
    } as unknown as Context;
    const call = { stage: 'a', retry: { attempts: 1 } } as unknown as StageCall;
    const run = asyncLocalStorage.run(context, () => createActivities(runner).default({}, call));
    const failed = await run.then(
      () => false,
      () => true,
    );
    return { made, asked, failed, aborted: signal?.aborted };
  }

  it('is made at once while Temporal cannot have given its task to another worker', async () => {
    expect(await waited(100, [new Error('unreachable')])).toEqual({
      ...{ made: 1, asked: [], failed: false },
      aborted: false,
    });
  });

  it('is made when Temporal says that it still expects its result, and what the attempt has noted is kept', async () => {
    const { made, asked } = await waited(12_000, [new Error('unreachable'), 'ok']);
    expect(made).toBe(1);
    const noted = { waits: 0, waitedMs: 0, progress: { task: 't' }, lost: { attempt: 1, losses: 0 } };
    expect(asked).toEqual([noted, noted]);
  });

  it('is not made if another worker has the task by then, or has completed it', async () => {
    // An aborted attempt is told as no fault of the stage, the worker or the server.
    const gone = { made: 0, failed: true, aborted: true };
    expect(await waited(12_000, [new ActivityNotFoundError('gone')])).toMatchObject(gone);
  });
});
