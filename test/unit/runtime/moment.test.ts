import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ageOf, momentAgo } from '../../../runtime/moment.js';

const HOUR_MS = 3_600_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

/** Time goes on for the wall clock alone. */
const suspended = (ms: number) => vi.setSystemTime(Date.now() + ms);

it('is as long ago as both clocks say', () => {
  const moment = momentAgo();
  vi.advanceTimersByTime(250);
  expect(ageOf(moment)).toBeCloseTo(250, 3);
  expect(ageOf(momentAgo(40))).toBeCloseTo(40, 3);
});

it('is older by the time for which the machine was suspended', () => {
  const moment = momentAgo();
  vi.advanceTimersByTime(1_000);
  suspended(HOUR_MS);
  vi.advanceTimersByTime(1_000);
  expect(ageOf(moment)).toBeCloseTo(HOUR_MS + 2_000, 3);
  // What has begun since is not.
  const later = momentAgo();
  vi.advanceTimersByTime(10);
  expect(ageOf(later)).toBeCloseTo(10, 3);
});

it('is no younger where the wall clock was set back, nor older by what it rounds', () => {
  const moment = momentAgo();
  vi.advanceTimersByTime(1_000);
  suspended(-HOUR_MS);
  expect(ageOf(moment)).toBeCloseTo(1_000, 3);
  const other = momentAgo();
  vi.advanceTimersByTime(1_000);
  suspended(1);
  expect(ageOf(other)).toBeCloseTo(1_000, 3);
});
