import { expect, it } from 'vitest';
import { outcomeOfSignal, outcomeSignal, type SegmentOutcome } from '../../../../pipelines/run/index.js';

const OUTCOME: SegmentOutcome = { done: {}, rows: [] };

it.each<[string, SegmentOutcome | null]>([
  ['an outcome', OUTCOME],
  ['that no host has started the run', null],
])('a signal tells %s to the run whose guard it has, and to no other with its id', (_, outcome) => {
  const sent = outcomeSignal(outcome, 'mine');
  expect(outcomeOfSignal(sent, 'mine')).toBe(outcome);
  expect(outcomeOfSignal(sent, 'another')).toBeUndefined();
  expect(outcomeOfSignal(sent, undefined)).toBeUndefined();
});

it('a signal of a gateway of 0.3.0, which sends no guard, is for every run', () => {
  expect(outcomeOfSignal([OUTCOME], 'mine')).toBe(OUTCOME);
  expect(outcomeOfSignal([null], 'mine')).toBeNull();
  expect(outcomeOfSignal([], 'mine')).toBeNull();
});

it('a worker of 0.3.0 finds the outcome where it looks for it', () => {
  expect(outcomeSignal(OUTCOME, 'mine')[0]).toBe(OUTCOME);
  expect(outcomeSignal(OUTCOME, undefined)).toEqual([OUTCOME]);
});
