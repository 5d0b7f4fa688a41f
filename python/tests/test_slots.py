from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from millrace._slots import MOST_LEFT, Slots

RESERVED: Any = SimpleNamespace()


def used(permit: Any) -> Any:
    return SimpleNamespace(permit=permit, slot_info=SimpleNamespace())


def unused(permit: Any) -> Any:
    return SimpleNamespace(permit=permit, slot_info=None)


def test_calls_of_all_queues_share_the_slots() -> None:
    slots = Slots(2)
    one, two, three = (slots.supplier() for _ in range(3))
    permits = [each.try_reserve_slot(RESERVED) for each in (one, two, three)]
    # Each queue may poll while slots are free, also more queues than slots.
    assert None not in permits
    assert one.try_reserve_slot(RESERVED) is None
    one.mark_slot_used(used(permits[0]))
    two.mark_slot_used(used(permits[1]))
    assert one.try_reserve_slot(RESERVED) is None
    assert two.try_reserve_slot(RESERVED) is None
    two.release_slot(used(permits[1]))
    assert two.try_reserve_slot(RESERVED) is not None


def test_a_queue_that_polls_in_vain_does_not_keep_another_from_its_tasks() -> None:
    slots = Slots(1)
    idle, busy = slots.supplier(), slots.supplier()
    assert idle.try_reserve_slot(RESERVED) is not None
    for _ in range(3):
        permit = busy.try_reserve_slot(RESERVED)
        assert permit is not None
        busy.mark_slot_used(used(permit))
        assert busy.try_reserve_slot(RESERVED) is None
        busy.release_slot(used(permit))


def test_waiting_polls_go_on_when_a_slot_is_free() -> None:
    async def drive() -> None:
        slots = Slots(1)
        one, two = slots.supplier(), slots.supplier()
        held = await one.reserve_slot(RESERVED)
        one.mark_slot_used(used(held))
        waiting = [asyncio.create_task(each.reserve_slot(RESERVED)) for each in (one, two)]
        await asyncio.sleep(0)
        assert not any(each.done() for each in waiting)
        # The core releases in a thread of its own.
        await asyncio.to_thread(one.release_slot, used(held))
        permits = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        for supplier, permit in zip((one, two), permits):
            supplier.release_slot(unused(permit))
        assert one.try_reserve_slot(RESERVED) is not None

    asyncio.run(drive())


def test_a_cancelled_poll_holds_nothing() -> None:
    async def drive() -> None:
        slots = Slots(1)
        one = slots.supplier()
        held = await one.reserve_slot(RESERVED)
        one.mark_slot_used(used(held))
        waiting = asyncio.create_task(one.reserve_slot(RESERVED))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        one.release_slot(used(held))
        await asyncio.sleep(0)
        assert one.try_reserve_slot(RESERVED) is not None

    asyncio.run(drive())


def test_the_waits_of_one_tenant_leave_room_for_those_of_others() -> None:
    slots = Slots(1)

    def left(tenant: str) -> int:
        count = 0
        while count <= MOST_LEFT and slots.leave(tenant):
            count += 1
        return count

    # As many as it leaves to others.
    assert (left("greedy"), left("other")) == (32, 16)
    assert slots.leave("modest")
    slots.take_back("greedy")
    slots.take_back("greedy")
    assert slots.leave("other")
