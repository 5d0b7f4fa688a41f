"""The slot of a call whose function waits for several streams at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from millrace._held import HeldSlot
from millrace._slots import Slots


@dataclass
class Scene:
    """A call with the only slot. Its first wait is over while another call has the slot, and then its second one begins."""

    slot: HeldSlot
    running: asyncio.Semaphore
    slots: Slots
    first: asyncio.Task[bool]
    second: asyncio.Task[bool]
    two: asyncio.Event


async def begun() -> Scene:
    running, slots = asyncio.Semaphore(1), Slots(1)
    await running.acquire()
    slots._used = 1
    slot = HeldSlot(running, slots, "acme")
    one, two = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(slot.without(one.wait()))
    await asyncio.sleep(0)
    await running.acquire()
    one.set()
    await asyncio.sleep(0)
    second = asyncio.create_task(slot.without(two.wait()))
    await asyncio.sleep(0)
    return Scene(slot, running, slots, first, second, two)


def test_waits_that_end_while_another_call_runs_take_one_slot_together() -> None:
    async def main() -> None:
        scene = await begun()
        scene.two.set()
        await asyncio.sleep(0)
        scene.running.release()
        await asyncio.gather(scene.first, scene.second)
        assert (scene.running.locked(), scene.slots._used, scene.slots._left) == (True, 1, 0)
        scene.slot.end()
        assert not scene.running.locked()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_wait_that_begins_while_the_slot_is_taken_again_holds_none() -> None:
    async def main() -> None:
        scene = await begun()
        scene.running.release()
        await scene.first
        # What the second one waits for may need it.
        assert (scene.running.locked(), scene.slots._left) == (False, 1)
        scene.two.set()
        await scene.second
        assert (scene.running.locked(), scene.slots._left) == (True, 0)
        scene.slot.end()

    asyncio.run(asyncio.wait_for(main(), 10))
