import { expect, test } from 'vitest';
import { TenantQueue } from '../../../runtime/tenant-queue.js';

test('tenants take turns, and what one of them has waits in order', () => {
  const queue = new TenantQueue<string>();
  expect([queue.isEmpty, queue.shift()]).toEqual([true, undefined]);
  for (const item of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) queue.push(item.slice(0, 1), item);
  const taken = [queue.shift(), queue.shift()];
  queue.push('d', 'd1');
  while (!queue.isEmpty) taken.push(queue.shift());
  expect(taken).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'd1', 'a3']);
});
