"""Slots for calls, shared by the workers of a process."""

from __future__ import annotations

import asyncio
from threading import Lock

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)


MOST_LEFT = 64
"""Calls that have given up their slots at a time, of all tenants: each still has its memory, and a thread."""


class Slots:
    """At most `most` calls at a time, however many task queues the process polls.

    With slots per queue the number of calls would multiply by the number of queues. A poll holds a slot before it has a
    task, so every queue may hold one even while the polls of other queues hold all the rest; otherwise a queue could
    stay without a poll for as long as the others receive no tasks.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._polling = 0
        self._left = 0
        self._left_by: dict[str, int] = {}
        # Temporal's core releases slots in threads of its own.
        self._lock = Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def supplier(self) -> CustomSlotSupplier:
        """The slots of the worker of one task queue."""
        return _QueueSlots(self)

    def leave(self, tenant: str) -> bool:
        """A call gives up its slot while it waits; False if too many of its tenant have: it then keeps it.

        A tenant may have as many as are still free for all others: alone half of them, two tenants a third each. The
        rule is that of `WaitsWithoutSlot` in TypeScript.
        """
        with self._lock:
            own = self._left_by.get(tenant, 0)
            if own >= MOST_LEFT - self._left:
                return False
            self._left_by[tenant] = own + 1
            self._left += 1
            self._used -= 1
            self._change()
            return True

    def take_back(self, tenant: str) -> None:
        """It has a slot again, or has ended. Functions at a time are limited by the server."""
        with self._lock:
            self._left_by[tenant] -= 1
            if self._left_by[tenant] == 0:
                del self._left_by[tenant]
            self._left -= 1
            self._used += 1

    def _change(self) -> None:
        waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            try:
                loop.call_soon_threadsafe(_end, future)
            except RuntimeError:
                pass  # the loop has ended with its worker


class _QueueSlots(CustomSlotSupplier):
    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._polling = 0

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        slots, loop = self._slots, asyncio.get_running_loop()
        while True:
            with slots._lock:
                if (permit := self._take()) is not None:
                    return permit
                future: asyncio.Future[None] = loop.create_future()
                slots._waiting.append((loop, future))
            await future

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        with self._slots._lock:
            return self._take()

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        with self._slots._lock:
            self._polled()
            self._slots._used += 1
            self._slots._change()

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        with self._slots._lock:
            if ctx.slot_info is None:
                self._polled()
            else:
                self._slots._used -= 1
            self._slots._change()

    def _take(self) -> SlotPermit | None:
        slots = self._slots
        free = slots._most - slots._used
        if free <= 0 or (self._polling > 0 and slots._polling >= free):
            return None
        self._polling += 1
        slots._polling += 1
        return SlotPermit()

    def _polled(self) -> None:
        self._polling -= 1
        self._slots._polling -= 1


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
