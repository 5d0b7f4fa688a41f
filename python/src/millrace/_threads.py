"""Functions in threads and in the event loop: what ends one of them ends its call and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent import futures
from typing import Any

from .context import Context

LEAST_PAUSE_S = 0.1
"""Interval in which a thread looks whether its call is cancelled."""


async def ended(running: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine of the author's."""
    try:
        return await running
    except SystemExit as error:
        # It would end the event loop, and the worker with the calls of all others.
        raise _no_failure(error) from error


def in_thread(work: Callable[[], Any]) -> Any:
    """The result of the author's function, in a thread of the executor."""
    try:
        return work()
    except (StopIteration, futures.CancelledError) as error:
        # A future cannot hold the first, so the call would never end, and takes the second for the call's cancellation.
        raise _no_failure(error) from error
    except Exception:
        raise
    except BaseException as error:
        # Signals reach the main thread alone, so this is the function's own.
        raise _no_failure(error) from error


def in_loop(made: Coroutine[Any, Any, Any], ctx: Context, loop: asyncio.AbstractEventLoop) -> Any:
    """The result of a coroutine, for a thread that waits for it. It is cancelled with its call."""
    running = asyncio.run_coroutine_threadsafe(ended(made), loop)
    while not futures.wait([running], timeout=LEAST_PAUSE_S).done:
        if ctx.cancelled:
            running.cancel()
    return running.result()


def _no_failure(error: BaseException) -> RuntimeError:
    """A failure of the call, in place of what would end more than it."""
    if isinstance(error, SystemExit):
        return RuntimeError(f"the function has called sys.exit({error.code!r})")
    said = f": {error}" if str(error) else ""
    return RuntimeError(f"the function has raised {type(error).__name__}{said}")
