"""Whether Temporal still expects the result of an attempt that begins late."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError, RPCStatusCode

FRESH_S = 1.0
"""A task that arrives within this time is begun at once: Temporal gives it to another worker no earlier than the
heartbeat timeout, 5 s. The clocks of workers and Temporal may differ by the rest."""
_ANSWER_S = 1.0
"""Timeout of one request to Temporal."""
_PAUSE_S = 0.25
_REMEMBERED_S = 300.0
"""How long the soonest task is remembered, at least: a clock may be set meanwhile."""


class TaskAges:
    """The ages at which a worker gets its tasks, by its clock and Temporal's.

    Where its clock is behind, a task that comes late looks fresh; next to the soonest one it does not.
    """

    def __init__(self) -> None:
        self._least = self._least_before = float("inf")
        self._since = time.monotonic()

    def lateness(self, age_s: float) -> float:
        """How much later a task of this age has come than the soonest one lately, in seconds."""
        if time.monotonic() - self._since > _REMEMBERED_S:
            self._least_before, self._least, self._since = self._least, float("inf"), time.monotonic()
        self._least = min(self._least, age_s)
        return age_s - min(self._least, self._least_before)


async def is_current(ages: TaskAges) -> bool:
    """False if the attempt is over for Temporal. `ages`: of the worker's tasks.

    A task may arrive late, for instance when a silent connection recovers; another worker may then have completed the
    activity, and a side effect would happen again after its result was recorded. A late task is begun only when
    Temporal accepts a heartbeat for it; while Temporal does not answer, it is not begun.
    """
    age_s = (datetime.now(timezone.utc) - activity.info().current_attempt_scheduled_time).total_seconds()
    if max(age_s, ages.lateness(age_s)) <= FRESH_S:
        return True
    return await is_expected()


async def is_expected() -> bool:
    """Asks Temporal whether it still expects the result of the attempt, until it answers or the attempt is over."""
    info = activity.info()
    now = datetime.now(timezone.utc)
    handle = activity.client().get_async_activity_handle(task_token=info.task_token)
    end = now + (info.start_to_close_timeout or timedelta(minutes=1))
    while datetime.now(timezone.utc) < end:
        try:
            await handle.heartbeat(*info.heartbeat_details, rpc_timeout=timedelta(seconds=_ANSWER_S))
            return True
        except AsyncActivityCancelledError:
            # The heartbeats of the attempt itself report a cancellation.
            return True
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
        await asyncio.sleep(_PAUSE_S)
    return False
