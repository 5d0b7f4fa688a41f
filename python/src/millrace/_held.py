"""What a call holds while its function runs, and gives up while it waits for another stage."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ._slots import Slots
from .errors import StageError

T = TypeVar("T")


class HeldSlot:
    """The slot of one call: others may need it while this one waits for a stream, its producer first of all."""

    def __init__(self, running: asyncio.Semaphore, slots: Slots | None, tenant: str) -> None:
        self._running = running
        self._slots = slots
        self._tenant = tenant
        self._left = False
        self._waits = 0
        self._ended = False
        self._taking = asyncio.Lock()

    async def without(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Waits without the slot. After the last of several waits at a time it is held again."""
        self._waits += 1
        if not self._left and not self._ended and self._slots is not None and self._slots.leave(self._tenant):
            self._left = True
            self._running.release()
        try:
            made = await waiting
        except Exception:
            await self._back()
            raise
        except BaseException:
            # The call is cancelled: it needs none.
            self._waits -= 1
            raise
        await self._back()
        return made

    async def _back(self) -> None:
        self._waits -= 1
        # One at a time: a second one would wait for the slot that the first one has got for the same call.
        async with self._taking:
            if self._waits > 0 or not self._left:
                return
            await self._running.acquire()
            # Another wait may have begun meanwhile, which takes it at its end.
            if self._ended or self._waits > 0:
                self._running.release()
                return
            self._left = False
            if self._slots is not None:
                self._slots.take_back(self._tenant)

    def end(self) -> None:
        """The function has ended."""
        self._ended = True
        if not self._left:
            self._running.release()
            return
        self._left = False
        # The worker of the queue releases it.
        if self._slots is not None:
            self._slots.take_back(self._tenant)


class EntryLimit:
    """How long a function may take for each entry that it reads, without the time in which it waits.

    `seconds`: None for a stage that reads no stream. `late` resolves with the failure.
    """

    def __init__(self, stage: str, seconds: float | None) -> None:
        self._stage = stage
        self._seconds = seconds
        self.late: asyncio.Future[StageError] = asyncio.get_running_loop().create_future()
        self._waits = 0
        self._timer: asyncio.TimerHandle | None = None

    def work(self) -> None:
        """The function works."""
        self._waits = max(0, self._waits - 1)
        if self._waits > 0 or self._seconds is None:
            return
        self._stop()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._fail)

    def rest(self) -> None:
        """It waits for another stage."""
        self._waits += 1
        self._stop()

    def end(self) -> None:
        """No limit applies any more."""
        self._seconds = None
        self._stop()

    def _fail(self) -> None:
        if not self.late.done():
            message = f'stage "{self._stage}": an entry took longer than {self._seconds:g} s'
            self.late.set_result(StageError("STAGE_TIMEOUT", message))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
