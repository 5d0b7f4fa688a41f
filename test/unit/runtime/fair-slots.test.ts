import { expect, test } from 'vitest';
import { FairSlots } from '../../../runtime/fair-slots.js';

const never = new AbortController().signal;

test('one tenant has its share at most, however many of it wait', async () => {
  const semaphore = new FairSlots(3, 2);
  const order: string[] = [];
  const ask = (tenant: string, name: string, signal = never) =>
    semaphore.acquire(tenant, signal).then((release) => {
      order.push(name);
      return release;
    });
  const first = await ask('acme', 'first');
  const second = await ask('acme', 'second');
  const third = ask('acme', 'third');
  const fourth = ask('acme', 'fourth');
  const others = await ask('other', 'others');
  expect(order).toEqual(['first', 'second', 'others']);
  const late = ask('other', 'late');
  first();
  // Given back twice it is free once.
  first();
  (await third)();
  (await fourth)();
  (await late)();
  expect(order).toEqual(['first', 'second', 'others', 'third', 'fourth', 'late']);
  second();
  others();
});

test('who has left while waiting gets none', async () => {
  const semaphore = new FairSlots(1, 1);
  const release = await semaphore.acquire('acme', never);
  const leaver = new AbortController();
  const left = semaphore.acquire('acme', leaver.signal);
  const next = semaphore.acquire('other', never);
  leaver.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  release();
  (await next)();
  await expect(semaphore.acquire('acme', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  (await semaphore.acquire('acme', never))();
});
