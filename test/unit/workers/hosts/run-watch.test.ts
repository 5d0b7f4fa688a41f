import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchRun } from '../../../../workers/hosts/run-watch.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Temporal's client as far as a watch needs it, of which each look is answered by `answer`. */
function clientOf(answer: () => Promise<unknown>) {
  const seen = { checks: 0, deadlines: [] as number[] };
  const client = {
    withDeadline: (deadline: number, work: () => Promise<unknown>) => {
      seen.deadlines.push(deadline - Date.now());
      return work();
    },
    workflow: {
      getHandle: () => ({
        describe: () => {
          seen.checks += 1;
          return answer();
        },
      }),
    },
  } as unknown as Client;
  return { client, seen };
}
const running = async () => ({ status: { name: 'RUNNING' }, raw: {} });
const cancelled = async () => ({
  status: { name: 'RUNNING' },
  raw: { workflowExtendedInfo: { cancelRequested: true } },
});

describe('the watch of a run', () => {
  it('is one for all its segments, each look with a limit', async () => {
    const { client, seen } = clientOf(running);
    const watches = Array.from({ length: 50 }, () => watchRun(client, 'w', 'r', () => undefined));
    await vi.advanceTimersByTimeAsync(1_600);
    expect(seen).toEqual({ checks: 3, deadlines: [1_000, 1_000, 1_000] });
    for (const watch of watches.slice(1)) watch.stop();
    await vi.advanceTimersByTimeAsync(500);
    expect(seen.checks).toBe(4);
    watches[0]?.stop();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen.checks).toBe(4);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells every segment once, and begins again for one that comes later', async () => {
    const { client, seen } = clientOf(cancelled);
    const called: string[] = [];
    watchRun(client, 'w', 'r', () => called.push('a'));
    watchRun(client, 'w', 'r', () => called.push('b'));
    watchRun(client, 'w', 'r', () => called.push('stopped')).stop();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(called).toEqual(['a', 'b']);
    watchRun(client, 'w', 'r', () => called.push('c'));
    await vi.advanceTimersByTimeAsync(500);
    expect(called).toEqual(['a', 'b', 'c']);
    expect(seen.checks).toBe(2);
  });

  it('does not take a run that an operator has paused for one that has ended', async () => {
    let answer = async () => ({ status: { name: 'PAUSED' }, raw: {} });
    const { client, seen } = clientOf(() => answer());
    const called: string[] = [];
    watchRun(client, 'w', 'r', () => called.push('a'));
    await vi.advanceTimersByTimeAsync(2_000);
    expect([called, seen.checks]).toEqual([[], 4]);
    answer = async () => ({ status: { name: 'TERMINATED' }, raw: {} });
    await vi.advanceTimersByTimeAsync(500);
    expect(called).toEqual(['a']);
  });

  it('takes one that it knows by its id, and that is not there any more, for one that was erased after its end', async () => {
    let answer: () => Promise<unknown> = async () => {
      throw new WorkflowNotFoundError('not found', 'w', undefined);
    };
    const { client } = clientOf(() => answer());
    const called: string[] = [];
    const gone = answer;
    // Queued before its start was confirmed.
    watchRun(client, 'w', undefined, () => called.push('by its id'));
    await vi.advanceTimersByTimeAsync(2_000);
    expect(called).toEqual([]);
    answer = running;
    await vi.advanceTimersByTimeAsync(1_000);
    answer = gone;
    await vi.advanceTimersByTimeAsync(500);
    expect(called).toEqual(['by its id']);
    answer = running;
    watchRun(client, 'w', 'r', () => called.push('by its execution'));
    await vi.advanceTimersByTimeAsync(500);
    answer = gone;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(called).toEqual(['by its id']);
  });

  it('looks again while Temporal is away', async () => {
    let away = true;
    const { client } = clientOf(async () => {
      if (away) throw new Error('away');
      return cancelled();
    });
    const called: string[] = [];
    watchRun(client, 'w', 'r', () => called.push('a'));
    await vi.advanceTimersByTimeAsync(2_000);
    away = false;
    await vi.advanceTimersByTimeAsync(500);
    expect(called).toEqual(['a']);
  });
});
