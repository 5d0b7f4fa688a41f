import { expect, test } from 'vitest';
import { TenantQueue } from '../../../runtime/tenant-queue.js';

const of = (...items: readonly string[]) => {
  const queue = new TenantQueue<string>((item) => item.endsWith('gone'));
  for (const item of items) queue.push(item.slice(0, 1), item);
  return queue;
};

test('tenants take turns, and what one of them has waits in order', () => {
  const empty = of();
  expect([empty.isEmpty, empty.shift(), empty.shiftEach(4)]).toEqual([true, undefined, []]);
  const queue = of('a1', 'a2', 'a3', 'b1', 'b2', 'c1');
  const taken = [queue.shift(), queue.shift()];
  queue.push('d', 'd1');
  while (!queue.isEmpty) taken.push(queue.shift());
  expect(taken).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'd1', 'a3']);
});

test('the next of several tenants are taken at once, one of each', () => {
  const queue = of('a1', 'a2', 'a3', 'b1', 'b2', 'c1');
  expect(queue.shiftEach(2)).toEqual(['a1', 'b1']);
  expect(queue.shiftEach(4)).toEqual(['c1', 'a2', 'b2']);
  expect(queue.shiftEach(4)).toEqual(['a3']);
  expect(queue.isEmpty).toBe(true);
});

test('what is gone is passed over', () => {
  expect(of('a-gone', 'a1', 'b-gone', 'c1').shiftEach(2)).toEqual(['a1']);
  const queue = of('a-gone', 'b-gone', 'b1', 'c-gone');
  expect([queue.shift(), queue.shift(), queue.isEmpty]).toEqual(['b1', undefined, true]);
});
