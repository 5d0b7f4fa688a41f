"""Whether Temporal still expects the result of an attempt that begins late."""

from __future__ import annotations

import asyncio
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


async def is_current() -> bool:
    """False if the attempt is over for Temporal.

    A task may arrive late, for instance when a silent connection recovers; another worker may then have completed the
    activity, and a side effect would happen again after its result was recorded. A late task is begun only when
    Temporal accepts a heartbeat for it; while Temporal does not answer, it is not begun.
    """
    info = activity.info()
    now = datetime.now(timezone.utc)
    if (now - info.current_attempt_scheduled_time).total_seconds() <= FRESH_S:
        return True
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
