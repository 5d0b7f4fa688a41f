import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { ActivityNotFoundError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { describe, expect, it, vi } from 'vitest';
import { createActivities } from '../../../../activities/stage/activity.js';
import type { Attempt, StageRunner } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { activity, describing, failureOf } from './attempt-scene.js';
import { prompt, reply, runnerOf, stage } from './runner-of.js';

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

it('a call whose attempt was lost by a stall of this worker is made again: no second worker was lost', async () => {
  const { runner, calls } = runnerOf(reply);
  const lastFailure = { timeoutFailureInfo: { timeoutType: 4 } };
  const client = describing(async () => ({ raw: { pendingActivities: [{ activityId: '1', lastFailure }] } }));
  const { default: activityOf } = createActivities(runner as StageRunner);
  const call = { ...stage, retry: { ...stage.retry, attempts: 5 } };
  const make = (attempt: number, losses: number) => {
    const context = {
      info: {
        ...{ startToCloseTimeoutMs: 60_000, attempt, activityId: '1', workflowExecution: { workflowId: 'run-1' } },
        ...{ scheduledTimestampMs: Date.now(), currentAttemptScheduledTimestampMs: Date.now() },
        heartbeatDetails: { waits: 0, waitedMs: 0, lost: { losses } },
      },
      client,
      cancellationSignal: new AbortController().signal,
      heartbeat: vi.fn(),
    } as unknown as Context;
    return asyncLocalStorage.run(context, () => activityOf({ prompt: 'pay' }, call));
  };
  await make(2, 0);
  await make(3, 1);
  expect(calls).toHaveLength(2);
});

describe('a call whose attempt has recorded its outcome', () => {
  const DUE = Date.now();
  const outcome = {
    output: { text: 'Paid.' },
    endpoint: 'a',
    device: '',
    attempt: 1,
    cache: 'off',
    queueMs: 0,
    runMs: 5,
  } as const;
  /** What differs from the second attempt of a chat that may be made once, whose record is asked and answers. */
  interface Next {
    readonly call?: Partial<StageCall>;
    readonly number?: number;
    /** Of the first one's heartbeats. */
    readonly note?: object | undefined;
    /** What the store does before it answers. @param asked how often it has been asked */
    readonly find?: (asked: number) => Promise<void>;
    /** The store has no record of the run when it answers. */
    readonly isFlushed?: boolean;
    /** Of its cancellation. */
    readonly signal?: AbortSignal;
    /** Called at each heartbeat. */
    readonly heartbeat?: (details: unknown) => void;
    readonly startToCloseTimeoutMs?: number;
  }
  function nextAttempt(next: Next) {
    const { call, number = 2, note, find, heartbeat = () => undefined, startToCloseTimeoutMs = 60_000 } = next;
    const { isFlushed = false, signal = new AbortController().signal } = next;
    const seen: [string, number][] = [];
    const records = {
      keep: async () => undefined,
      before: async () => undefined,
      async earlier(run: string, _call: unknown, _input: unknown, since: number) {
        seen.push([run, since]);
        await find?.(seen.length);
        return isFlushed ? undefined : outcome;
      },
    };
    const { runner, calls } = runnerOf(reply, { records });
    const context = {
      info: {
        ...{ startToCloseTimeoutMs, attempt: number, activityId: '1', workflowExecution: { workflowId: 'run-1' } },
        currentAttemptScheduledTimestampMs: Date.now(),
        scheduledTimestampMs: DUE,
        ...(note && { heartbeatDetails: { waits: 0, waitedMs: 0, lost: { losses: 0, ...note } } }),
      },
      client: describing(async () => ({ raw: { pendingActivities: [] } })),
      cancellationSignal: signal,
      heartbeat,
    } as unknown as Context;
    const made = { ...stage, retry: { ...stage.retry, attempts: 1 }, ...call };
    const ended = asyncLocalStorage.run(context, () => createActivities(runner).default(prompt, made));
    return { ended, calls, seen };
  }
  const away = async () => {
    throw new MillraceError('STORE_UNAVAILABLE', 'fails over');
  };

  it('is not made again if that attempt could not report it', async () => {
    const { ended, calls, seen } = nextAttempt({ note: {} });
    expect(await ended).toEqual(outcome);
    expect([calls, seen]).toEqual([[], [['run-1', DUE]]]);
  });

  it('is not made again on another queue, where its next attempt is the first', async () => {
    const { ended, calls, seen } = nextAttempt({ number: 1, call: { since: 7 } });
    expect(await ended).toEqual(outcome);
    expect([calls, seen]).toEqual([[], [['run-1', 7]]]);
  });

  it('is made where none before it can have recorded one', async () => {
    const { ended, calls, seen } = nextAttempt({ number: 1 });
    expect(await ended).toMatchObject({ output: { text: 'Hello.' } });
    expect([calls.length, seen]).toEqual([1, []]);
  });

  it('waits for a store that is away, if the call has effects', async () => {
    const { ended, calls, seen } = nextAttempt({
      call: { kind: 'http' },
      note: {},
      find: async (asked) => (asked < 3 ? away() : undefined),
    });
    expect(await ended).toEqual(outcome);
    expect([calls, seen.length]).toEqual([[], 3]);
  });

  it('does not wait for it where a repeated call does no harm', async () => {
    const { ended, seen } = nextAttempt({ note: {}, call: { retry: { ...stage.retry, attempts: 2 } }, find: away });
    await ended.catch(() => undefined);
    expect(seen.length).toBe(1);
  });

  it('waits for it where no attempt is left: the stage would fail though its call has ended', async () => {
    const { ended, calls, seen } = nextAttempt({
      note: {},
      find: async (asked) => (asked < 2 ? away() : undefined),
    });
    expect(await ended).toEqual(outcome);
    expect([calls, seen.length]).toEqual([[], 2]);
  });

  it.each<[string, MillraceError]>([
    ['is gone', new MillraceError('RECORD_GONE', 'no longer exists', { recorded: true })],
    ['cannot be read', new MillraceError('STORE_UNAVAILABLE', 'away', { recorded: true })],
  ])('is not made again if it has effects and its outcome %s', async (_, error) => {
    const asking = { note: {}, find: () => Promise.reject(error), startToCloseTimeoutMs: 2_000 };
    const { ended, calls, seen } = nextAttempt({ call: { kind: 'http' }, ...asking });
    await expect(ended).rejects.toMatchObject({ type: 'RECORD_GONE', nonRetryable: true, message: error.message });
    expect(calls).toEqual([]);
    expect(seen.length === 1, 'what is gone is asked for once').toBe(error.code === 'RECORD_GONE');
  });

  it('is not made again if it has effects and the store has said that it has ended, and then says nothing', async () => {
    const recorded = new MillraceError('STORE_UNAVAILABLE', 'away', { recorded: true });
    const { ended, calls } = nextAttempt({
      call: { kind: 'http' },
      note: {},
      find: (asked) => (asked === 1 ? Promise.reject(recorded) : away()),
      startToCloseTimeoutMs: 2_000,
    });
    await expect(ended).rejects.toMatchObject({ type: 'RECORD_GONE', nonRetryable: true });
    expect(calls).toEqual([]);
  });

  it('is not made again if it has effects and the store has said that it has ended, and then loses its data', async () => {
    const recorded = new MillraceError('STORE_UNAVAILABLE', 'away', { recorded: true });
    const find = async (asked: number) => {
      if (asked === 1) throw recorded;
    };
    const { ended, calls } = nextAttempt({ call: { kind: 'http' }, note: {}, find, isFlushed: true });
    await expect(ended).rejects.toMatchObject({ type: 'RECORD_GONE', nonRetryable: true });
    expect(calls).toEqual([]);
  });

  it.each<[string, () => Promise<void>]>([
    ['cannot read it', () => Promise.reject(new MillraceError('STORE_UNAVAILABLE', 'away', { recorded: true }))],
    ['is away', away],
    ['hangs', () => new Promise(() => undefined)],
  ])('leaves the question to the attempt after it if its worker shuts down while the store %s', async (_, store) => {
    const begun = performance.now();
    const shutdown = new AbortController();
    const told: object[] = [];
    const { ended, calls } = nextAttempt({
      call: { kind: 'http' },
      note: {},
      signal: shutdown.signal,
      heartbeat: (details) => void told.push(details as object),
      find: () => {
        shutdown.abort(new CancelledFailure('WORKER_SHUTDOWN'));
        return store();
      },
    });
    await expect(ended).rejects.toBeInstanceOf(CancelledFailure);
    expect(performance.now() - begun, 'a read is not waited for').toBeLessThan(5_000);
    expect(calls).toEqual([]);
    // Of an attempt that has said how it ended nothing is asked.
    for (const details of told) expect(details).not.toHaveProperty('lost.ended');
  });

  it('is made again if a repeated call does no harm and its outcome is gone', async () => {
    const gone = new MillraceError('RECORD_GONE', 'no longer exists', { recorded: true });
    const twice = { retry: { ...stage.retry, attempts: 2 } };
    const { ended, calls, seen } = nextAttempt({ call: twice, note: {}, find: () => Promise.reject(gone) });
    expect(await ended).toMatchObject({ output: { text: 'Hello.' } });
    expect([calls.length, seen.length]).toEqual([1, 1]);
  });

  it('waits at most half of its time', async () => {
    const begun = performance.now();
    const { ended, seen } = nextAttempt({ call: { kind: 'http' }, note: {}, find: away, startToCloseTimeoutMs: 4_000 });
    await ended.catch(() => undefined);
    expect(performance.now() - begun).toBeLessThan(3_900);
    expect(seen.length).toBeGreaterThan(1);
  });

  it('is not lost while a slow store is asked: what the first attempt left is said again', async () => {
    let beat: (details: unknown) => void = () => undefined;
    const beaten = new Promise<unknown>((resolve) => {
      beat = resolve;
    });
    const { ended } = nextAttempt({ note: {}, find: () => beaten.then(() => undefined), heartbeat: beat });
    expect(await ended).toEqual(outcome);
    expect(await beaten).toEqual({ waits: 0, waitedMs: 0, lost: { losses: 0 } });
  });

  it('has another attempt if that one has reported that it failed', async () => {
    const { ended, seen } = nextAttempt({ note: { ended: 1 } });
    await expect(ended).rejects.toMatchObject({ type: 'STAGE_TIMEOUT' });
    expect(seen).toEqual([]);
  });
});

describe('an attempt that follows another one, or rests', () => {
  const LOST = { timeoutFailureInfo: { timeoutType: 4 } };
  const call = { retry: { attempts: 2 } };
  /** What Temporal is told of an attempt, at once or by its heartbeats. @param direct answers what is told at once */
  function made(number: number, before: object | undefined, direct: () => Promise<void> = async () => undefined) {
    const told: object[] = [];
    const heartbeats: object[] = [];
    const started = (run: (attempt: Attempt) => Promise<unknown>) =>
      activity({
        run,
        call,
        info: {
          ...{ attempt: number, activityId: '1', taskToken: new Uint8Array([1]) },
          ...(before && { heartbeatDetails: before }),
        },
        more: {
          client: {
            ...describing(async () => ({ raw: { pendingActivities: [{ activityId: '1', lastFailure: LOST }] } })),
            activity: {
              heartbeat: async (_: Uint8Array, details: object) => {
                told.push(details);
                await direct();
              },
            },
          },
          heartbeat: (details: object) => void heartbeats.push(details),
        },
      });
    return { told, heartbeats, started };
  }

  it('makes its call when Temporal knows of it if the one before has left no end: who counts the calls counts it', async () => {
    const { told, started } = made(2, undefined);
    await started(async () => expect(told).toEqual([{ waits: 0, waitedMs: 0, lost: { attempt: 2, losses: 1 } }]));
    expect(told).toHaveLength(1);
    const reported = made(2, { waits: 0, waitedMs: 0, lost: { losses: 0, ended: 1 } });
    await reported.started(async () => expect(reported.told).toEqual([]));
    const gone = made(2, undefined, async () => {
      throw new ActivityNotFoundError('gone');
    });
    let sent = false;
    const failure = await failureOf(
      gone.started(async () => {
        sent = true;
      }),
    );
    expect([failure instanceof CancelledFailure, sent]).toEqual([true, false]);
  });

  it('counts neither as a loss nor as an attempt if its worker is lost while it rests, however often', async () => {
    let left: object | undefined;
    for (let number = 1; number <= 5; number++) {
      const { told, started } = made(number, left);
      await started(async ({ attempt, rest }) => {
        expect(attempt).toBe(1);
        rest?.();
      });
      left = told.at(-1);
      expect(left).toMatchObject({ waits: number, lost: { losses: 0, rests: true } });
    }
  });

  it('tells Temporal that it goes on before anything is sent: a loss counts from then on', async () => {
    const { told, heartbeats, started } = made(1, undefined);
    await started(async ({ rest }) => {
      await rest?.()();
      expect(told).toMatchObject([
        { waits: 1, lost: { rests: true } },
        { waits: 0, lost: { losses: 0 } },
      ]);
      expect(told[1]).not.toHaveProperty('lost.rests');
      expect(heartbeats.at(-1)).toEqual(told[1]);
    });
    await made(2, told[1]).started(async ({ attempt }) => expect(attempt).toBe(2));
    const third = made(3, { waits: 0, waitedMs: 0, lost: { losses: 1 } }).started(async () => undefined);
    expect(await failureOf(third)).toMatchObject({ type: 'WORKER_LOST' });
  });

  it('tells Temporal in the next attempt that it rests no more, before that makes its call', async () => {
    const { heartbeats, started } = made(2, { waits: 1, waitedMs: 0, lost: { losses: 0, rests: true } });
    await started(async () => {
      expect(heartbeats).toEqual([{ waits: 1, waitedMs: 0, lost: { attempt: 2, losses: 0 } }]);
    });
  });

  it('does not go on if another worker has its task by then', async () => {
    const { started } = made(1, undefined, async () => {
      throw new ActivityNotFoundError('gone');
    });
    let sent = false;
    const failure = await failureOf(
      started(async ({ rest, signal }) => {
        await rest?.()().catch(() => undefined);
        signal.throwIfAborted();
        sent = true;
      }),
    );
    expect(failure).toBeDefined();
    expect(sent).toBe(false);
  });
});
