import { expect, it } from 'vitest';
import { originOf, resumedRun, resumedRuns, resumptionOf, splitRun } from '../../../pipelines/run/index.js';

const ID = 'order-9a1f0c52-6f0e-4c1d-9d0a-0b6f0f3f5b1e';

it('a run’s id says which run it resumes, however often', () => {
  expect(resumedRun(ID)).toBeUndefined();
  const first = resumptionOf(ID);
  const second = resumptionOf(first);
  expect([first, second, resumptionOf(second)]).toEqual([`${ID}-r1`, `${ID}-r2`, `${ID}-r3`]);
  expect([resumedRun(first), resumedRun(second)]).toEqual([ID, first]);
  expect([[...resumedRuns(ID)], [...resumedRuns(first)], [...resumedRuns(second)]]).toEqual([[], [ID], [first, ID]]);
  expect([ID, first, second].map(originOf)).toEqual([ID, ID, ID]);
});

it('a pipeline’s name is never taken for it, nor the end of an id that a key gave', () => {
  for (const run of [
    `order-r1-9a1f0c52-6f0e-4c1d-9d0a-0b6f0f3f5b1e`,
    'order-r12-0123456789abcdef0123456789abcdef',
    `${ID}-r0`,
  ]) {
    expect(resumedRun(run)).toBeUndefined();
    expect(originOf(run)).toBe(run);
  }
});

it('a child run stands in the run that has begun it', () => {
  expect(splitRun(`${ID}-r1/items[2]/child`)).toEqual({ root: `${ID}-r1`, inside: 'items[2]/child' });
  expect(splitRun(ID)).toEqual({ root: ID, inside: '' });
});
