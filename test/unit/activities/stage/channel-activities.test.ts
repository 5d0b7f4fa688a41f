import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { createChannelActivities } from '../../../../activities/stage/channel-activities.js';
import type { StreamsOf } from '../../../../activities/stage/held-entries.js';
import type { SharedSlots } from '../../../../activities/stage/held-slot.js';
import type { StepStreams } from '../../../../activities/streams/index.js';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import type { ChannelCommit, ChannelWait } from '../../../../pipelines/run/index.js';

const wait = { waitFor: { channel: { path: 'said', of: 'entries' } } } as unknown as ChannelWait;
const commit = { commit: { path: 'made', from: 0 } } as unknown as ChannelCommit;

function within<T>(work: () => Promise<T>, { attempt = 1, signal = new AbortController().signal } = {}): Promise<T> {
  const info = { attempt, activityId: '1', workflowExecution: { workflowId: 'r', runId: '1' } };
  const context = { info, cancellationSignal: signal, heartbeat: () => undefined } as unknown as Context;
  return asyncLocalStorage.run(context, work);
}

const failing = (code: ErrorCode): StreamsOf => ({
  stepStreams: () => {
    const fails = () => Promise.reject(new MillraceError(code, 'no'));
    return { wait: fails, commit: fails } as unknown as StepStreams;
  },
});

/** How a call fails: by its code, and whether Temporal tries it again. */
async function failureOf(call: Promise<unknown>): Promise<readonly [string | null | undefined, boolean]> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(ApplicationFailure);
  const { type, nonRetryable } = error as ApplicationFailure;
  return [type, !nonRetryable];
}

describe('the activities that read and write channels for a workflow', () => {
  const commits = (runner: StreamsOf, attempt: number) =>
    failureOf(within(() => createChannelActivities(runner).commit({ values: [] }, commit), { attempt }));
  const waits = (runner: StreamsOf) => failureOf(within(() => createChannelActivities(runner).wait(wait)));

  it('try a store that is away again for longer than readers wait for it, and no other failure', async () => {
    const away = failing('STREAM_LOST');
    expect(await commits(away, 1)).toEqual(['STREAM_LOST', true]);
    expect(await commits(away, 9)).toEqual(['STREAM_LOST', true]);
    expect(await commits(away, 10)).toEqual(['STREAM_LOST', false]);
    expect(await commits(failing('STREAM_CUT'), 1)).toEqual(['STREAM_CUT', false]);
    // A wait has waited already.
    expect(await waits(away)).toEqual(['STREAM_LOST', false]);
  });

  it('try again where another attempt has taken the channel', async () => {
    expect(await commits(failing('STREAM_TAKEN'), 20)).toEqual(['STREAM_TAKEN', true]);
  });

  it('fail at once in a worker without channels', async () => {
    expect(await commits({}, 1)).toEqual(['STREAM_LOST', false]);
    expect(await waits({})).toEqual(['STREAM_LOST', false]);
  });

  it('give a wait back to its queue if too many of the tenant wait: it would hold a slot that others need', async () => {
    const shared: SharedSlots = { leave: () => false, take: async () => undefined, takeBack: () => undefined };
    const runner: StreamsOf = { stepStreams: () => ({ wait: () => new Promise(() => undefined) }) as never };
    const waiting = within(() => createChannelActivities(runner, shared).wait(wait));
    await expect(waiting).rejects.toMatchObject({ type: 'OVERLOADED', nonRetryable: false });
    await expect(waiting).rejects.toMatchObject({ nextRetryDelay: expect.anything() });
  });

  it('end as cancelled with their step, and hold no slot while they wait', async () => {
    const stops = new AbortController();
    const slots: string[] = [];
    const shared: SharedSlots = {
      leave: () => slots.push('left') > 0,
      take: async () => undefined,
      takeBack: () => void slots.push('back'),
    };
    const runner: StreamsOf = {
      stepStreams: (_, signal) =>
        ({
          wait: () => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        }) as unknown as StepStreams,
    };
    const waiting = within(() => createChannelActivities(runner, shared).wait(wait), { signal: stops.signal });
    expect(slots).toEqual(['left']);
    stops.abort(new CancelledFailure('CANCELLED'));
    await expect(waiting).rejects.toBeInstanceOf(CancelledFailure);
    expect(slots).toEqual(['left', 'back']);
  });
});
