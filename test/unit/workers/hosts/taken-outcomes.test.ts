import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { whenDone, whenTaken } from '../../../../workers/hosts/taken-outcomes.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Temporal's client, of which each question is answered by the next of the answers, then by the last one. */
function clientOf(...answers: (() => Promise<unknown>)[]) {
  const asked = { times: 0 };
  const describe = () => {
    const answer = answers[Math.min(asked.times, answers.length - 1)] as () => Promise<unknown>;
    asked.times += 1;
    return answer();
  };
  const client = {
    withDeadline: (_: number, work: () => Promise<unknown>) => work(),
    workflow: { getHandle: () => ({ describe }) },
  } as unknown as Client;
  return { client, asked };
}
const description = (name: string, pending?: object) => async () => ({
  status: { name },
  raw: { pendingWorkflowTask: pending ?? null },
});
const pending = description('RUNNING', { attempt: 2 });
const paused = description('PAUSED', { attempt: 2 });
const complete = description('RUNNING');
const away = () => Promise.reject(new Error('unavailable'));

describe('the outcome of a segment', () => {
  it('is taken when its workflow task is complete: neither while it is pending, or paused, nor while Temporal is away', async () => {
    const { client, asked } = clientOf(away, pending, paused, complete);
    const taken = vi.fn();
    whenTaken(client, 'w', 'r', taken);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(asked.times).toBe(0);
    // After 5, 15 and 35 seconds.
    await vi.advanceTimersByTimeAsync(36_000);
    expect(asked.times).toBe(3);
    expect(taken).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(40_000);
    expect(taken).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(asked.times).toBe(4);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is taken when its run has ended, or is not there any more', async () => {
    const gone = () => Promise.reject(new WorkflowNotFoundError('not found', 'w', 'r'));
    for (const answer of [description('COMPLETED', { attempt: 1 }), gone]) {
      const { client } = clientOf(answer);
      const taken = vi.fn();
      whenTaken(client, 'w', 'r', taken);
      await vi.advanceTimersByTimeAsync(6_000);
      expect(taken).toHaveBeenCalledTimes(1);
    }
  });

  it('is asked for with those of the other segments of its run, unless it has ended during the question', async () => {
    const held: { answer?: () => void } = {};
    const slow = () =>
      new Promise((resolve) => {
        held.answer = () => resolve(complete());
      });
    const { client, asked } = clientOf(slow, complete);
    const taken: string[] = [];
    for (const name of ['a', 'b']) whenTaken(client, 'w', 'r', () => taken.push(name));
    await vi.advanceTimersByTimeAsync(6_000);
    expect(asked.times).toBe(1);
    whenTaken(client, 'w', 'r', () => taken.push('later'));
    held.answer?.();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(taken).toEqual(['a', 'b']);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(taken).toEqual(['a', 'b', 'later']);
    expect(asked.times).toBe(2);
  });

  it('of a segment that ends just as another one of its run is taken is asked for too', async () => {
    const { client } = clientOf(complete);
    const next = vi.fn();
    whenTaken(client, 'w', 'r', () => queueMicrotask(() => whenTaken(client, 'w', 'r', next)));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(next).toHaveBeenCalledTimes(1);
  });
});

describe('the journal of a fast run', () => {
  it('is needed until its gateway has noted that Temporal has the outcome', async () => {
    let noted = false;
    const { client, asked } = clientOf(description('RUNNING'));
    const done = vi.fn();
    whenDone(client, 'w', async () => noted, done);
    await vi.advanceTimersByTimeAsync(6_000);
    expect([asked.times, done.mock.calls.length]).toEqual([1, 0]);
    noted = true;
    await vi.advanceTimersByTimeAsync(10_000);
    expect([asked.times, done.mock.calls.length]).toEqual([1, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['or until the run has ended', async () => false],
    [
      'or until the run has ended, where it cannot be asked what the gateway has noted',
      () => Promise.reject(new Error('closed')),
    ],
  ])('%s', async (_, isNoted) => {
    const { client } = clientOf(away, description('RUNNING'), description('COMPLETED'));
    const done = vi.fn();
    whenDone(client, 'w', isNoted, done);
    // After 5, 15 and 35 seconds.
    await vi.advanceTimersByTimeAsync(16_000);
    expect(done).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(done).toHaveBeenCalledTimes(1);
  });
});
