import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { FairSlots } from '../../../runtime/fair-slots.js';

const never = () => new AbortController().signal;

/** Calls that run until they are told to end. */
function calls(slots: FairSlots) {
  const running: string[] = [];
  const ends = new Map<string, () => void>();
  const begin = (tenant: string, name: string, signal = never()) =>
    slots.use(tenant, signal, async () => {
      running.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
      running.splice(running.indexOf(name), 1);
    });
  const end = async (name: string) => {
    ends.get(name)?.();
    for (let i = 0; i < 3; i++) await turn();
  };
  return { running, begin, end };
}

it('so many calls run at once, and so many of a tenant; the others enter in turns of tenants', async () => {
  const { running, begin, end } = calls(new FairSlots(3, 2));
  const all = [
    begin('a', 'a1'),
    begin('a', 'a2'),
    begin('a', 'a3'),
    begin('b', 'b1'),
    begin('b', 'b2'),
    begin('c', 'c1'),
  ];
  await turn();
  // The third of the tenant waits though there is room, and leaves it to others.
  expect(running).toEqual(['a1', 'a2', 'b1']);
  await end('b1');
  expect(running).toEqual(['a1', 'a2', 'c1']);
  await end('a1');
  expect(running).toEqual(['a2', 'c1', 'b2']);
  await end('a2');
  expect(running).toEqual(['c1', 'b2', 'a3']);
  for (const name of ['c1', 'b2', 'a3']) await end(name);
  await Promise.all(all);
  expect(running).toEqual([]);
});

it('a call that is given up leaves the queue, and a failure gives its place back', async () => {
  const slots = new FairSlots(1, 1);
  const { running, begin, end } = calls(slots);
  const first = begin('a', 'a1');
  const controller = new AbortController();
  const given = begin('b', 'b1', controller.signal);
  const last = begin('c', 'c1');
  controller.abort(new Error('given up'));
  await expect(given).rejects.toThrow('given up');
  await expect(begin('d', 'd1', AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  await end('a1');
  expect(running).toEqual(['c1']);
  await end('c1');
  await Promise.all([first, last]);
  await expect(slots.use('a', never(), () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await slots.use('a', never(), async () => 'free')).toBe('free');
});
