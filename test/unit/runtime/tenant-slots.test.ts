import { expect, it } from 'vitest';
import { TenantSlots } from '../../../runtime/tenant-slots.js';

it('gives no slot to a tenant that has all of its own, or when all are taken, and gives a slot back once', () => {
  const slots = new TenantSlots(3, 2);
  const [first, second] = [slots.take('a'), slots.take('a')];
  expect(slots.take('a')).toBeUndefined();
  expect(slots.hasAll('a')).toBe(true);
  expect(slots.take('b')).toBeDefined();
  expect(slots.take('c')).toBeUndefined();
  expect(slots.hasAll('c')).toBe(false);
  first?.();
  first?.();
  expect(slots.take('c')).toBeDefined();
  expect(slots.take('a')).toBeUndefined();
  expect(slots.hasAll('a')).toBe(false);
  second?.();
  expect(slots.take('a')).toBeDefined();
});
