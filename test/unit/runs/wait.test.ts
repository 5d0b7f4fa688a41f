import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { waitForRun } from '../../../runs/wait.js';
import { grpcError } from '../../support/fake-temporal.js';
import { soonest } from '../../support/soonest.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

test('a wait ends early where Temporal is away for more than a minute', async () => {
  const warned: unknown[] = [];
  const tries: number[] = [];
  const of = async () => {
    tries.push(performance.now());
    // Its client tries again by itself for a while.
    vi.advanceTimersByTime(25_000);
    throw grpcError(14, 'unavailable');
  };
  const logger = { warn: (...given: unknown[]) => warned.push(given) };
  const run = { id: 'greet-1', tenant: 'acme' };
  const gone = new AbortController().signal;
  expect(await waitForRun({ ends: { of }, logger } as never, run, 3_600_000, gone)).toBeUndefined();
  expect([tries.length, warned.length]).toEqual([4, 1]);
});

test('a wait is no longer than asked for while Temporal is away', async () => {
  vi.useRealTimers();
  const of = () => Promise.reject(grpcError(14, 'unavailable'));
  const run = { id: 'greet-1', tenant: 'acme' };
  const tookMs = await soonest(800, async () => {
    expect(await waitForRun({ ends: { of } } as never, run, 50, new AbortController().signal)).toBeUndefined();
  });
  expect(tookMs).toBeLessThan(800);
});
