import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { HeldSlot, type SharedSlots } from '../../../../activities/stage/held-slot.js';

const never = new AbortController().signal;

/** Slots of a worker, of which one attempt holds one; the others are taken while `full`. */
class Slots implements SharedSlots {
  used = 1;
  full = false;
  #waiting: (() => void)[] = [];

  leave(): boolean {
    this.used -= 1;
    return true;
  }

  async take(_tenant: string, signal: AbortSignal): Promise<void> {
    if (this.full) {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        this.#waiting.push(resolve);
      });
    }
    this.takeBack();
  }

  takeBack(): void {
    this.used += 1;
  }

  free(): void {
    this.full = false;
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** Something that is waited for, until it is there. */
function pending() {
  let arrive: (value: string) => void = () => undefined;
  const promise = new Promise<string>((resolve) => {
    arrive = resolve;
  });
  return { promise, arrive };
}

describe('the slot of an attempt', () => {
  it('is free for others while a person is asked, and held again after the last question', async () => {
    const slots = new Slots();
    const slot = new HeldSlot(slots, 'one');
    const [one, two] = [pending(), pending()];
    const first = slot.without(() => one.promise, never);
    const second = slot.without(() => two.promise, never);
    expect(slots.used).toBe(0);
    one.arrive('1');
    expect(await first).toBe('1');
    expect(slots.used).toBe(0);
    two.arrive('2');
    expect(await second).toBe('2');
    expect(slots.used).toBe(1);
  });

  it('is taken once, though another wait begins and ends while it is', async () => {
    const slots = new Slots();
    const slot = new HeldSlot(slots, 'one');
    const one = pending();
    const first = slot.without(() => one.promise, never);
    slots.full = true;
    one.arrive('1');
    await nextTurn();
    const second = slot.without(async () => '2', never);
    await nextTurn();
    slots.free();
    expect(await Promise.all([first, second])).toEqual(['1', '2']);
    expect(slots.used).toBe(1);
    slot.end();
    expect(slots.used).toBe(1);
  });

  it('is free while a person is asked, though it was being taken when that question came', async () => {
    const slots = new Slots();
    const slot = new HeldSlot(slots, 'one');
    const [one, two] = [pending(), pending()];
    const first = slot.without(() => one.promise, never);
    slots.full = true;
    one.arrive('1');
    await nextTurn();
    const second = slot.without(() => two.promise, never);
    slots.free();
    expect(await first).toBe('1');
    expect(slots.used).toBe(0);
    two.arrive('2');
    expect(await second).toBe('2');
    expect(slots.used).toBe(1);
  });

  it('counts at the end of an attempt that still waits for it, whether it gets it or not', async () => {
    for (const gets of [true, false]) {
      const slots = new Slots();
      const slot = new HeldSlot(slots, 'one');
      const ending = new AbortController();
      const wait = slot.without(async () => {
        slots.full = true;
      }, ending.signal);
      await nextTurn();
      slot.end();
      if (gets) slots.free();
      else ending.abort(new Error('it has ended'));
      await wait.catch(() => undefined);
      await nextTurn();
      expect(slots.used).toBe(1);
      slot.leave();
      expect(slots.used).toBe(1);
    }
  });
});
