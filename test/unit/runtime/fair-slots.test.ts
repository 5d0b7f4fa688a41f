import { afterEach, expect, test, vi } from 'vitest';
import { FairSlots } from '../../../runtime/fair-slots.js';

const never = new AbortController().signal;
afterEach(() => void vi.useRealTimers());

/** Asks for a slot, and writes the name down when there is one. */
const asking =
  (slots: FairSlots, order: string[]) =>
  (tenant: string, name: string, signal = never) =>
    slots.acquire(tenant, signal).then((release) => {
      order.push(name);
      return release;
    });

test('one tenant has its share at most, however many of it wait', async () => {
  const order: string[] = [];
  const ask = asking(new FairSlots(3, 2), order);
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
  (await late)();
  (await fourth)();
  expect(order).toEqual(['first', 'second', 'others', 'third', 'late', 'fourth']);
  second();
  others();
});

test('tenants that wait take turns, however many of one came before', async () => {
  const order: string[] = [];
  const ask = asking(new FairSlots(2, 2), order);
  const held = [await ask('busy', 'busy-1'), await ask('busy', 'busy-2')];
  const waiting = [3, 4, 5, 6].map((i) => ask('busy', `busy-${i}`));
  // Two tenants have all that there is, so a share of it would leave nothing to a third one.
  const others = [ask('other', 'other-1'), ask('third', 'third-1'), ask('other', 'other-2')];
  held[0]?.();
  await others[0];
  held[1]?.();
  await others[1];
  expect(order).toEqual(['busy-1', 'busy-2', 'other-1', 'third-1']);
  (await others[0])?.();
  (await waiting[0])?.();
  (await others[1])?.();
  for (const each of [others[2], ...waiting.slice(1)]) (await each)?.();
  expect(order).toEqual([
    ...['busy-1', 'busy-2', 'other-1', 'third-1', 'busy-3'],
    ...['other-2', 'busy-4', 'busy-5', 'busy-6'],
  ]);
});

test('who has left while waiting gets none', async () => {
  const slots = new FairSlots(1, 1);
  const release = await slots.acquire('acme', never);
  const leaver = new AbortController();
  const left = slots.acquire('acme', leaver.signal);
  const next = slots.acquire('other', never);
  leaver.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  release();
  (await next)();
  await expect(slots.acquire('acme', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  (await slots.acquire('acme', never))();
});

test('within bounds a tenant leaves room to wait to others, and who leaves makes room', async () => {
  const slots = new FairSlots(1, 1, { ms: 60_000, what: 'place to work' });
  const release = await slots.acquire('first', never);
  const leavers = Array.from({ length: 500 }, () => new AbortController());
  const greedy = leavers.map(({ signal }) => slots.acquire('greedy', signal));
  const many = { code: 'OVERLOADED', details: { unsent: true, retryAfterMs: 5_000 } };
  await expect(slots.acquire('greedy', never)).rejects.toMatchObject(many);
  const modest = slots.acquire('modest', never);
  for (const each of leavers) each.abort(new Error('left'));
  const ends = await Promise.allSettled(greedy);
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  release();
  (await modest)();
  (await slots.acquire('greedy', never))();
});

test('within bounds nobody waits for ever, and a wait that has ended takes no slot', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const slots = new FairSlots(1, 1, { ms: 1_000, what: 'place to work' });
  const release = await slots.acquire('one', never);
  const late = slots.acquire('one', never);
  const refused = expect(late).rejects.toMatchObject({
    code: 'OVERLOADED',
    message: 'there was no place to work within 1000 ms',
    details: { unsent: true },
  });
  vi.advanceTimersByTime(1_000);
  await refused;
  const next = slots.acquire('one', never);
  release();
  (await next)();
  // The timer of the one that got its slot does nothing more.
  vi.advanceTimersByTime(10_000);
  (await slots.acquire('one', never))();
});

test('what is done before a wait may refuse it', async () => {
  const slots = new FairSlots(1, 1, { ms: 60_000, what: 'place to work' });
  const release = await slots.acquire('one', never, () => expect.unreachable('there is a slot'));
  const refuse = () => {
    throw new Error('no wait');
  };
  await expect(slots.acquire('one', never, refuse)).rejects.toThrow('no wait');
  release();
  (await slots.acquire('one', never))();
});
