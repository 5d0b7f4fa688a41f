import { expect, test } from 'vitest';
import { isDelayed } from '../../../runs/read.js';

/** Of a Temporal server whose clock is five seconds ahead of this machine's. */
const startTime = new Date(Date.now() + 5_000);
const later = new Date(startTime.getTime() + 3_000);

test.each<[string, Date | undefined, number, boolean]>([
  ['a run without a delay that has just been started', startTime, 1, false],
  ['a run without a delay that waits for a person', startTime, 20, false],
  ['a guardian before its delay is over', later, 1, true],
  ['a guardian that has been signalled before', later, 2, true],
  ['a guardian that has taken over', later, 4, false],
  ['a run of which Temporal does not say it', undefined, 1, false],
])('%s is delayed by Temporal’s times alone', (_, executionTime, historyLength, expected) => {
  expect(isDelayed({ startTime, historyLength, ...(executionTime && { executionTime }) })).toBe(expected);
});
