"""The slot of a call whose function waits for several streams at a time."""

from __future__ import annotations

import asyncio

from millrace._held import HeldSlot
from millrace._slots import Slots


async def held() -> tuple[HeldSlot, asyncio.Semaphore, Slots]:
    """The slot of a call, which is the only one."""
    running, slots = asyncio.Semaphore(1), Slots(1)
    await running.acquire()
    slots._used = 1
    return HeldSlot(running, slots), running, slots


def test_waits_that_end_while_another_call_runs_take_one_slot_together() -> None:
    async def main() -> None:
        slot, running, slots = await held()
        one, two = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(slot.without(one.wait()))
        await asyncio.sleep(0)
        # Another call has the slot meanwhile.
        await running.acquire()
        one.set()
        await asyncio.sleep(0)
        second = asyncio.create_task(slot.without(two.wait()))
        await asyncio.sleep(0)
        two.set()
        await asyncio.sleep(0)
        running.release()
        await asyncio.gather(first, second)
        assert (running.locked(), slots._used, slots._left) == (True, 1, 0)
        slot.end()
        assert not running.locked()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_wait_that_begins_while_the_slot_is_taken_again_holds_none() -> None:
    async def main() -> None:
        slot, running, slots = await held()
        one, two = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(slot.without(one.wait()))
        await asyncio.sleep(0)
        await running.acquire()
        one.set()
        await asyncio.sleep(0)
        second = asyncio.create_task(slot.without(two.wait()))
        await asyncio.sleep(0)
        running.release()
        await first
        # What the second one waits for may need it.
        assert (running.locked(), slots._left) == (False, 1)
        two.set()
        await second
        assert (running.locked(), slots._left) == (True, 0)
        slot.end()

    asyncio.run(asyncio.wait_for(main(), 10))
