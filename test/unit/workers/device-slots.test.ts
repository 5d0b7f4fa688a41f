import { describe, expect, it } from 'vitest';
import { WaitingRoom } from '../../../runtime/waiting-room.js';
import { ActivitySlots } from '../../../workers/activity-slots.js';
import { slotsFor } from '../../../workers/device-worker.js';

const context = {} as Parameters<ReturnType<typeof slotsFor>['reserveSlot']>[0];
const release = {} as Parameters<ReturnType<typeof slotsFor>['releaseSlot']>[0];
const task = { slotInfo: {} } as Parameters<ReturnType<typeof slotsFor>['markSlotUsed']>[0];
const never = new AbortController().signal;

it.each([
  ['a device', () => slotsFor(() => 1_000)],
  ['a worker', () => new ActivitySlots(1_000)],
])('the slots of %s are given up by the waits of one tenant without those of others', (_, made) => {
  const slots = made();
  const left = (tenant: string) => {
    let count = 0;
    while (count < 2_000 && slots.leave(tenant)) count += 1;
    return count;
  };
  // As many as it leaves to others.
  expect(left('greedy')).toBe(500);
  expect(left('other')).toBe(250);
  expect(slots.leave('modest')).toBe(true);
  slots.takeBack('greedy');
  slots.takeBack('greedy');
  expect(slots.leave('other')).toBe(true);
});

it('a worker has as many waits without a slot as it is given', () => {
  const slots = new ActivitySlots(32, new WaitingRoom(4));
  expect([1, 2, 3].map(() => slots.leave('greedy'))).toEqual([true, true, false]);
  expect(slots.leave('other')).toBe(true);
});

describe('the slots of a device', () => {
  it('are as many as it has room for', () => {
    const slots = slotsFor(() => 2);
    expect([1, 2, 3].map(() => slots.tryReserveSlot(context) !== null)).toEqual([true, true, false]);
    slots.releaseSlot(release);
    expect(slots.tryReserveSlot(context)).not.toBeNull();
  });

  it('open when there is room again', async () => {
    let room = 0;
    const slots = slotsFor(() => room);
    let open = false;
    const waiting = slots.reserveSlot(context, never).then(() => {
      open = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(open).toBe(false);
    room = 1;
    await waiting;
    expect(slots.tryReserveSlot(context)).toBeNull();
  });

  it('are not waited for after an abort', async () => {
    const slots = slotsFor(() => 0);
    const gone = new AbortController();
    const waiting = slots.reserveSlot(context, gone.signal);
    gone.abort();
    // Temporal logs whatever is not the signal's own reason as an error.
    await expect(waiting).rejects.toBe(gone.signal.reason);
  });

  it('are had again at once by a stage that has waited, though a poll that gets no task holds the only one', async () => {
    const slots = slotsFor(() => 1);
    slots.tryReserveSlot(context);
    slots.markSlotUsed(task);
    slots.leave('one');
    expect(slots.tryReserveSlot(context), 'a poll').not.toBeNull();
    await slots.take('one', AbortSignal.timeout(10_000));
    slots.releaseSlot(release);
    expect(slots.tryReserveSlot(context), 'beside the stage').toBeNull();
    slots.releaseSlot(task);
    expect(slots.tryReserveSlot(context)).not.toBeNull();
  });

  it('go to a stage that has waited before a new one is asked for', async () => {
    const slots = slotsFor(() => 1);
    slots.tryReserveSlot(context);
    slots.markSlotUsed(task);
    slots.leave('one');
    slots.tryReserveSlot(context);
    slots.markSlotUsed(task);
    const back = slots.take('one', AbortSignal.timeout(10_000));
    slots.releaseSlot(task);
    expect(slots.tryReserveSlot(context)).toBeNull();
    await back;
  });
});
