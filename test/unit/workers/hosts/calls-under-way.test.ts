import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { CallsUnderWay } from '../../../../workers/hosts/calls-under-way.js';

const callOf = (stage: string) => ({ stage }) as StageCall;

it('waits also for a call that follows the last one under way at once', async () => {
  const underWay = new CallsUnderWay();
  const [first, second] = [callOf('first'), callOf('second')];
  underWay.begun(first, 1);
  let isOver = false;
  const none = underWay.none().then(() => {
    isOver = true;
  });
  underWay.left(first);
  underWay.begun(second, 1);
  await nextTurn();
  await nextTurn();
  expect(isOver).toBe(false);
  underWay.left(second);
  await none;
  expect(isOver).toBe(true);
});
