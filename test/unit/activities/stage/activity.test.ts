import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ActivityNotFoundError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import { describe, expect, it, vi } from 'vitest';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import type { Attempt } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json } from '../../../../pipelines/json.js';
import { ENTRY_KIND } from '../../../../pipelines/run/index.js';
import { activity, describing, failureOf } from './attempt-scene.js';

it('an attempt may have more time than a timer of Node’s can be set for', async () => {
  const run = async ({ signal }: Attempt) => {
    await sleep(20, undefined, { signal });
    return 'done';
  };
  await expect(activity({ run, info: { startToCloseTimeoutMs: 2 ** 32 } })).resolves.toBe('done');
});

it('an attempt’s time runs while it is looked up what was recorded before it: Temporal’s does', async () => {
  const begun = performance.now();
  const ended = activity({
    run: async ({ endsAt = Number.NaN, signal }) => {
      expect(endsAt - begun).toBeLessThan(2_800);
      await sleep(10_000, undefined, { signal });
    },
    info: { startToCloseTimeoutMs: 2_000, attempt: 2, heartbeatDetails: { waits: 1, waitedMs: 0 } },
    earlier: async () => await sleep(1_500, undefined),
  });
  expect(await failureOf(ended)).toMatchObject({ type: 'STAGE_TIMEOUT' });
  // Were its time counted from there, it would end after 3.3 s.
  expect(performance.now() - begun).toBeLessThan(2_800);
});

it('what the state store did not take waits for it, and uses no attempt', async () => {
  const run = async () => {
    throw new MillraceError('STORE_UNAVAILABLE', 'it fails over', { unreached: true });
  };
  const failure = await failureOf(
    activity({ run, info: { attempt: 9, heartbeatDetails: { waits: 8, waitedMs: 7_000 } } }),
  );
  expect(failure).toMatchObject({
    ...{ type: 'STORE_UNAVAILABLE', nonRetryable: false, message: 'waiting for the state store: it fails over' },
    details: [{ attempt: 0 }],
  });
});

describe('what a server has of an outcome', () => {
  /** Whether it was removed when the attempt had ended, and whether it is a while later. */
  async function removed(scene: Parameters<typeof activity>[0]) {
    let done = false;
    const run: typeof scene.run = async (attempt, call) => {
      attempt.whenKept?.(() => {
        done = true;
      });
      return await scene.run(attempt, call);
    };
    await failureOf(activity({ ...scene, run }));
    const atOnce = done;
    await sleep(1_500);
    return [atOnce, done];
  }
  const fails = (kept: Json) => async (attempt: Attempt) => {
    attempt.checkpoint(kept);
    throw new MillraceError('INVALID_OUTPUT', 'it does not fit');
  };

  it('is removed a moment after the outcome was reported: the next attempt has it if it was not', async () => {
    const client = describing(async () => ({ status: { name: 'RUNNING' }, raw: { pendingActivities: [] } }));
    expect(await removed({ run: async () => 'done', more: { client } })).toEqual([false, true]);
  });

  it('stays while the run still waits for the outcome, which a worker that is cut off from Temporal has not reported', async () => {
    let asked = 0;
    const describe = async () => {
      asked += 1;
      if (asked === 1) throw new Error('unreachable');
      return { status: { name: 'RUNNING' }, raw: { pendingActivities: asked === 2 ? [{ activityId: '7' }] : [] } };
    };
    let removedAt: number | undefined;
    const run = async (attempt: Attempt) => {
      attempt.whenKept?.(() => {
        removedAt = asked;
      });
      return 'done';
    };
    expect(await activity({ run, info: { activityId: '7' }, more: { client: describing(describe) } })).toBe('done');
    await vi.waitFor(() => expect(removedAt).toBe(3), { timeout: 30_000 });
  });

  it('does not change the outcome where removing it fails', async () => {
    const warnings: string[] = [];
    const run = async (attempt: Attempt) => {
      attempt.whenKept?.(() => {
        throw new Error('not there');
      });
      throw new MillraceError('INVALID_OUTPUT', 'it does not fit');
    };
    const log = { warn: (message: string) => void warnings.push(message) };
    await expect(activity({ run, more: { log } })).rejects.toMatchObject({ type: 'INVALID_OUTPUT' });
    expect(warnings).toEqual([expect.stringContaining('not there')]);
  });

  it('is left to an attempt that follows, and removed where none does, or goes on from nothing', async () => {
    const call = { retry: { attempts: 2, initialMs: 1, factor: 1, maxMs: 1 } };
    expect(await removed({ run: fails({ job: 1 }), call })).toEqual([false, false]);
    expect(await removed({ run: fails(null), call })).toEqual([true, true]);
    expect(await removed({ run: fails({ job: 1 }) })).toEqual([true, true]);
  });

  it('is left to the next attempt by a worker that stops, and removed by a run that is cancelled', async () => {
    for (const [why, ends] of [
      ['WORKER_SHUTDOWN', [false, false]],
      ['CANCELLED', [true, true]],
    ] as const) {
      const cancellation = new AbortController();
      const run = async ({ signal }: Attempt) => {
        cancellation.abort(new CancelledFailure(why));
        throw signal.reason;
      };
      expect(await removed({ run, more: { cancellationSignal: cancellation.signal } })).toEqual(ends);
    }
  });
});

describe('an attempt that Temporal cancels', () => {
  const ends = async (reason: string) => {
    const cancellation = new AbortController();
    const failure = new CancelledFailure(reason);
    let given: unknown;
    const run = async ({ signal }: Attempt) => {
      cancellation.abort(failure);
      given = signal.reason;
      throw signal.reason;
    };
    const attempt = activity({ run, more: { cancellationSignal: cancellation.signal } });
    await expect(attempt).rejects.toBeInstanceOf(CancelledFailure);
    return { given, failure };
  };

  it('is handed over if only its worker stops', async () => {
    expect((await ends('WORKER_SHUTDOWN')).given).toBeInstanceOf(HandedOver);
  });

  it.each(['CANCELLED', 'NOT_FOUND', 'TIMED_OUT'])('has Temporal’s reason otherwise: %s', async (reason) => {
    const { given, failure } = await ends(reason);
    expect(given).toBe(failure);
  });

  describe('with a checkpoint', () => {
    /** Why its signal aborts. @param describe what Temporal says of the run when it is asked */
    const reasonOf = async (why: string, describe?: () => Promise<object>) => {
      const cancellation = new AbortController();
      let given: unknown;
      const run = async ({ signal, checkpoint }: Attempt) => {
        checkpoint({ task: 't' });
        const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        cancellation.abort(new CancelledFailure(why));
        if (!signal.aborted) await aborted;
        given = signal.reason;
        throw signal.reason;
      };
      const attempt = activity({
        run,
        info: { activityId: '7', workflowExecution: { workflowId: 'run', runId: 'history' } },
        more: { client: describing(describe), cancellationSignal: cancellation.signal },
      });
      await expect(attempt).rejects.toBeInstanceOf(CancelledFailure);
      return given;
    };
    const pending =
      (activityId: string, name = 'RUNNING') =>
      async () => ({ status: { name }, raw: { pendingActivities: [{ activityId }] } });

    it.each(['NOT_FOUND', 'TIMED_OUT', 'PAUSED', 'RESET'])(
      'is handed over while its run waits for the activity: %s',
      async (why) => {
        expect(await reasonOf(why, pending('7'))).toBeInstanceOf(HandedOver);
      },
    );

    it('is handed over where nobody can tell', async () => {
      const away = () => Promise.reject(new Error('unreachable'));
      expect(await reasonOf('NOT_FOUND', away)).toBeInstanceOf(HandedOver);
    });

    it.each([
      ['waits for others', pending('8')],
      ['has ended', pending('7', 'CANCELLED')],
      ['is gone', () => Promise.reject(new WorkflowNotFoundError('gone', 'run', 'history'))],
    ])('is cancelled if its run %s', async (_, describe) => {
      expect(await reasonOf('NOT_FOUND', describe)).toBeInstanceOf(CancelledFailure);
    });

    /** Why it aborts when its time is over. @param heartbeat what Temporal says shortly before @param describe and then of the run */
    const endOf = async (
      heartbeat: () => Promise<void>,
      { describe = pending('7'), kept = { task: 't' } as Json, attempts = 2 } = {},
    ) => {
      let given: unknown;
      const run = async ({ signal, checkpoint }: Attempt) => {
        checkpoint(kept);
        await sleep(10_000, undefined, { signal }).catch(() => undefined);
        given = signal.reason;
        throw signal.reason;
      };
      const failure = await failureOf(
        activity({
          run,
          call: { retry: { attempts, initialMs: 1, factor: 1, maxMs: 1 } },
          info: {
            ...{ startToCloseTimeoutMs: 2_000, activityId: '7', scheduledTimestampMs: Date.now() },
            workflowExecution: { workflowId: 'run', runId: 'history' },
          },
          more: { client: { ...describing(describe), activity: { heartbeat } } },
        }),
      );
      expect(failure).toMatchObject({ type: 'STAGE_TIMEOUT' });
      return given;
    };
    const gone = () => Promise.reject(new ActivityNotFoundError('gone'));
    const silent = () => new Promise<void>(() => undefined);

    it('ends with its time, if Temporal still expects its result', async () => {
      expect(await endOf(async () => undefined)).toMatchObject({ code: 'STAGE_TIMEOUT' });
    });

    it('is handed over at the end of its time where another one was made, since its heartbeats did not arrive', async () => {
      expect(await endOf(gone)).toBeInstanceOf(HandedOver);
      expect(await endOf(gone, { attempts: 1 })).toBeInstanceOf(HandedOver);
    });

    it('ends with its time where the run has ended, and nobody goes on', async () => {
      expect(await endOf(gone, { describe: pending('7', 'CANCELLED') })).toMatchObject({ code: 'STAGE_TIMEOUT' });
    });

    it('is handed over where Temporal does not answer, if another attempt follows', async () => {
      expect(await endOf(silent)).toBeInstanceOf(HandedOver);
      expect(await endOf(silent, { attempts: 1 })).toMatchObject({ code: 'STAGE_TIMEOUT' });
    });

    it('asks no more once it has ended', async () => {
      let asked = 0;
      let heard: () => void = () => undefined;
      const question = new Promise<void>((resolve) => {
        heard = resolve;
      });
      const heartbeat = async () => {
        asked += 1;
        heard();
        throw new Error('unreachable');
      };
      const run = async ({ checkpoint }: Attempt) => {
        checkpoint({ task: 't' });
        await question;
        return 'done';
      };
      const client = { ...describing(), activity: { heartbeat } };
      expect(await activity({ run, info: { startToCloseTimeoutMs: 2_000 }, more: { client } })).toBe('done');
      await sleep(1_000);
      expect(asked).toBe(1);
    });

    it('ends with its time without a question where there is nothing to go on from', async () => {
      expect(await endOf(gone, { kept: null })).toMatchObject({ code: 'STAGE_TIMEOUT' });
    });

    it('is cancelled by its run without a question', async () => {
      expect(await reasonOf('CANCELLED')).toBeInstanceOf(CancelledFailure);
    });
  });
});

it('fails with texts that Temporal can store: its worker ends over a message that has no UTF-8', async () => {
  const half = '🙂'.slice(0, 1);
  const thrown = [
    new MillraceError('BACKEND_REJECTED', `no ${half}`, {}, { cause: new Error(`why ${half}`) }),
    new MillraceError('CODE_FAILED', 'no', { stack: `Error: no ${half}` }),
    new MillraceError('CODE_FAILED', `${'x'.repeat(4_999)}🙂`),
    new MillraceError('TOOL_FAILED', '🙂'.repeat(5_000)),
    new Error(half),
  ];
  for (const error of thrown) {
    const failure = (await failureOf(activity({ run: () => Promise.reject(error) }))) as ApplicationFailure;
    expect(failure).toBeInstanceOf(ApplicationFailure);
    const { message, stack, cause } = failure;
    expect([message, stack, cause?.message, cause?.stack].join('\n')).not.toMatch(/\p{Cs}/u);
  }
});

describe('what an attempt leaves for the next one', () => {
  const call = { stage: 'a', model: 'assistant', retry: { attempts: 2, initialMs: 5, factor: 1, maxMs: 5 } } as const;
  const away = new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });
  const broken = new MillraceError('BACKEND_UNAVAILABLE', 'the connection broke', { endpoint: 'e' });

  /** One attempt after those of which `heartbeatDetails` tell: what it fails with, and the last details of its beats. */
  async function attempt(
    number: number,
    heartbeatDetails: object | undefined,
    error: MillraceError,
    more: { readonly call?: object; readonly client?: object } = {},
  ) {
    const beats: object[] = [];
    const calls: number[] = [];
    const run = async ({ attempt }: Attempt) => {
      calls.push(attempt);
      throw error;
    };
    const failure = await failureOf(
      activity({
        run,
        info: { attempt: number, heartbeatDetails, activityId: '1' },
        call: more.call ?? call,
        more: { client: more.client, heartbeat: (details: object) => void beats.push(details) },
      }),
    );
    if (!(failure instanceof ApplicationFailure)) throw new Error('it did not fail as an activity does');
    return { failure, left: beats.at(-1), calls };
  }

  it('is that it waited, for what, and how many workers were lost: no call', async () => {
    const { failure, left, calls } = await attempt(4, { waits: 2, waitedMs: 500, lost: { losses: 1, ended: 1 } }, away);
    expect(calls).toEqual([2]);
    expect(left).toMatchObject({
      ...{ waits: 3, stage: 'a', doing: 'waiting for assistant' },
      lost: { losses: 1, ended: 4 },
    });
    expect(failure).toMatchObject({
      type: 'BACKEND_UNAVAILABLE',
      message: 'waiting for assistant: refused',
      nonRetryable: false,
      details: [{ stage: 'a', attempt: 1 }],
    });
  });

  it('is that it has made a call, and where that failed', async () => {
    const { failure, left } = await attempt(3, { waits: 2, waitedMs: 500, lost: { losses: 0, ended: 2 } }, broken);
    expect(left).toEqual({ waits: 2, waitedMs: 0, avoid: 'e', lost: { attempt: 3, losses: 0, ended: 3 } });
    expect(failure).toMatchObject({ nonRetryable: false, details: [{ attempt: 1 }] });
    const last = await attempt(4, left, broken);
    expect(last.calls).toEqual([2]);
    expect(last.failure).toMatchObject({ nonRetryable: true, details: [{ attempt: 2 }] });
  });

  it.each([
    ['takes too long', 1, []],
    ['is lost with its worker', 4, [2]],
  ])(
    'lets no call follow one that %s, where the policy does not try timeouts again: %i',
    async (_, timeoutType, calls) => {
      const lastFailure = { timeoutFailureInfo: { timeoutType } };
      const client = describing(async () => ({ raw: { pendingActivities: [{ activityId: '1', lastFailure }] } }));
      const on = { ...call, retry: { ...call.retry, on: ['BACKEND_UNAVAILABLE'] } };
      const { failure, calls: made } = await attempt(2, undefined, broken, { call: on, client });
      expect(made).toEqual(calls);
      expect(failure).toMatchObject({
        nonRetryable: true,
        type: made.length > 0 ? 'BACKEND_UNAVAILABLE' : 'STAGE_TIMEOUT',
      });
    },
  );

  describe('with a long checkpoint', () => {
    const words = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ start: i / 3, end: i / 3 + 0.2, text: `word${i % 500}` }));
    /** What the attempt before has left, as the next one finds it, and the longest of its beats, in UTF-16 units. */
    const through = async (...checkpoints: Json[]) => {
      const beats: object[] = [];
      const leaves = async ({ checkpoint }: Attempt) => {
        for (const each of checkpoints) checkpoint(each);
        throw broken;
      };
      const heartbeat = (details: object) => void beats.push(details);
      await failureOf(activity({ run: leaves, call, more: { heartbeat } }));
      let found: unknown;
      const goes = async ({ resumeFrom }: Attempt) => {
        found = resumeFrom;
      };
      await activity({ run: goes, call, info: { attempt: 2, heartbeatDetails: beats.at(-1) } });
      return { found, longest: Math.max(...beats.map((each) => JSON.stringify(each).length)) };
    };

    it('is the whole of it, in heartbeats of a fraction of its length', async () => {
      const progress = { sample: 28_800_000, text: 'so', segments: words(9_000) };
      const { found, longest } = await through(progress);
      expect(found).toEqual(progress);
      expect(longest).toBeLessThan(JSON.stringify(progress).length / 3);
    });

    it('may be none', async () => {
      const { found } = await through({ sample: 1 }, undefined as unknown as Json);
      expect(found ?? null).toBeNull();
    });

    it('is the last one that fits into a heartbeat', async () => {
      const first = { sample: 1, noise: 'short' };
      const noise = randomBytes(600_000).toString('base64');
      const { found, longest } = await through(first, { sample: 2, noise });
      expect(found).toEqual(first);
      expect(longest).toBeLessThan(1_000);
    });

    it('is nothing where the last one says so', async () => {
      expect((await through({ sample: 1, segments: words(1_000) }, null)).found).toBeNull();
    });
  });

  it('lets no call follow where attempts were lost that may have been calls', async () => {
    const { failure, calls } = await attempt(3, { waits: 0, waitedMs: 0, lost: { losses: 0, ended: 2 } }, broken);
    expect(calls).toEqual([]);
    expect(failure).toMatchObject({ type: 'STAGE_TIMEOUT', nonRetryable: true });
  });
});

describe('an attempt after the last one of the policy, whose worker was lost', () => {
  const made = (kind: string, heartbeatDetails: object, timeoutType?: number) => {
    const describe = async () => ({
      status: { name: 'RUNNING' },
      raw: {
        pendingActivities: [{ activityId: '7', attempt: 2, lastFailure: { timeoutFailureInfo: { timeoutType } } }],
      },
    });
    const info = { attempt: 2, activityId: '7', workflowExecution: { workflowId: 'run' }, heartbeatDetails };
    const run = async ({ resumeFrom }: Attempt) => resumeFrom;
    return activity({ run, info, call: { kind, model: 'm' }, more: { client: describing(describe) } });
  };
  const kept = { progress: { task: 't' } };
  const HEARTBEAT = 4;
  const TOO_LONG = 1;

  it.each(['mcp', 'a2a'])('goes on with what a call of %s has begun elsewhere', async (kind) => {
    expect(await made(kind, kept, HEARTBEAT)).toEqual({ task: 't' });
    expect(await made(kind, { ...kept, lost: { losses: 0, ended: 1 } })).toEqual({ task: 't' });
  });

  it.each([
    ['nothing is known to have begun', 'mcp', {}, HEARTBEAT],
    ['it took too long, and has given up what it had begun', 'mcp', kept, TOO_LONG],
    ['its kind would begin anew', 'transcribe', kept, HEARTBEAT],
  ])('is none where %s', async (_, kind, details, timeout) => {
    await expect(made(kind, details, timeout)).rejects.toMatchObject({ type: 'STAGE_TIMEOUT', nonRetryable: true });
  });
});

describe('an attempt of a stage with streams', () => {
  const unstreamed = { waits: 0, waitedMs: 0, unstreamed: true, lost: { losses: 0, ended: 1 } };

  it.each([
    ['the first', { attempt: 1 }, {}, false],
    ['the first of a call that follows another', { attempt: 1 }, { again: true }, true],
    ['one after a lost worker', { attempt: 2, heartbeatDetails: { waits: 0, waitedMs: 0 } }, {}, true],
    ['one that follows one without the store', { attempt: 2, heartbeatDetails: unstreamed }, {}, false],
    [
      'one after a worker that was lost before it left anything',
      { attempt: 3, heartbeatDetails: unstreamed },
      {},
      true,
    ],
  ])('knows whether one before it may have committed entries: %s', async (_, info, call, again) => {
    const run = async (attempt: Attempt) => attempt.again === true;
    const retried = { retry: { attempts: 4, initialMs: 1, factor: 1, maxMs: 1 } };
    expect(await activity({ run, info, call: { ...retried, ...call } })).toBe(again);
  });

  it('leaves to the next one that the store was away, and says it in no heartbeat of its own', async () => {
    const beats: object[] = [];
    const more = { heartbeat: (details: object) => void beats.push(details) };
    const call = { retry: { attempts: 3, initialMs: 1, factor: 1, maxMs: 1 } };
    const run = async (attempt: Attempt) => {
      attempt.checkpoint({ job: 1 });
      throw new MillraceError('BACKEND_UNAVAILABLE', 'gone', { unstreamed: true });
    };
    await failureOf(activity({ run, call, more, info: { attempt: 2, heartbeatDetails: unstreamed } }));
    expect(beats.at(-1)).toMatchObject({ unstreamed: true });
    expect(beats.slice(0, -1).filter((beat) => 'unstreamed' in beat)).toEqual([]);
  });
});

it('a call whose kind is kept from workers of earlier releases is served as one of its kind', async () => {
  const served: unknown[] = [];
  const call = { kind: ENTRY_KIND, writes: ['sentences'], channel: { path: 'a@t', kind: 'chat' } };
  await activity({ run: async (_, given) => served.push(given.kind, given.channel?.path), call });
  expect(served).toEqual(['chat', 'a@t']);
});
