"""Calls of stages that yield."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, Field

from ._channel import ChannelLog, ChannelName, Unreachable
from ._reads import Reads
from ._threads import ended, in_loop, in_thread
from ._writer import ChannelWriter
from ._yielded import Repeated, Yielded
from .context import Context
from .errors import StageError
from .stage import Stage

logger = logging.getLogger("millrace")


class Stream(BaseModel):
    """What a call says of its stream; absent if no other stage reads it while it is made."""

    ttl_ms: int = Field(alias="ttlMs")
    """How long the channel is kept after its last write, in milliseconds."""
    path: str | None = None
    """By which the channel is named; None: the path of the stage."""
    again: bool = False
    """An earlier call of the stage may have committed entries."""
    on_cut: str | None = Field(default=None, alias="onCut")
    """`end`: where it cannot go on it ends with what is committed."""


class Yielding:
    """One attempt of a stage that yields."""

    def __init__(
        self,
        stage: Stage[Any, Any],
        given: BaseModel,
        ctx: Context,
        reads: Reads,
        *,
        channels: ChannelLog | None,
        executor: ThreadPoolExecutor,
    ) -> None:
        self._stage = stage
        self._given = given
        self._ctx = ctx
        self._reads = reads
        self._channels = channels
        self._executor = executor

    async def run(self, stream: Stream | None, outcome_of: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
        """The result of the call. A stream that an earlier attempt has ended is not made again.

        `outcome_of`: the result with an output. Raises `STREAM_CUT`, and what ends the function.
        """
        writer = await self._writer(stream)
        try:
            if writer is not None and writer.before_end is not None:
                return writer.before_end["outcome"]
            assert self._stage.entry is not None
            yielded = Yielded(self._stage.entry, self._ctx.stage, writer, self._reads)
            self._ctx._resume = yielded.resume_from
            self._reads.position_of = yielded.position_of
            end = "done"
            try:
                await self._drain(yielded)
                items = yielded.finish()
            except Repeated:
                # Without the entries that the store has dropped there is no result.
                if stream is None or stream.on_cut != "end" or yielded.dropped:
                    raise yielded.cut() from None
                end, items = "cut", yielded.committed
            outcome = outcome_of({"items": items})
            if writer is not None:
                await writer.end({"as": end, "outcome": outcome})
            return outcome
        finally:
            if writer is not None:
                writer.close()

    async def _writer(self, stream: Stream | None) -> ChannelWriter | None:
        if stream is None or self._channels is None:
            return None
        name = ChannelName(self._ctx.run, stream.path or self._ctx.path)
        try:
            patient = self._reads.held if stream.again or self._ctx._again else None
            writer = await ChannelWriter.open(self._channels, name, stream.ttl_ms, patient=patient, begun=self._ctx._begun)
            if writer.before_end is None or "outcome" in writer.before_end:
                return writer
            # It is void: its readers take the list.
            writer.close()
            return None
        except Unreachable as error:
            self._ctx._unstreamed = True
            message = "stage %s: the state store cannot be reached, so what it yields is read when it has ended: %s"
            logger.warning(message, self._ctx.path, error)
            return None

    async def _drain(self, yielded: Yielded) -> None:
        if self._stage.is_async:
            await ended(self._drain_async(yielded))
            return
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        thread = loop.run_in_executor(self._executor, run, in_thread, lambda: self._drain_here(yielded, loop))
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            # It looks up when it yields next. Until then it counts as running.
            await asyncio.wait([thread])
            thread.exception()
            raise

    async def _drain_async(self, yielded: Yielded) -> None:
        made = self._made("__aiter__", "async def")
        try:
            async for value in made:
                await yielded.add(value)
        finally:
            close = getattr(made, "aclose", None)
            if close is not None:
                await close()

    def _drain_here(self, yielded: Yielded, loop: asyncio.AbstractEventLoop) -> None:
        made = self._made("__iter__", "def")
        try:
            for value in made:
                if self._ctx.cancelled:
                    raise futures.CancelledError
                in_loop(yielded.add(value), self._ctx, loop)
        finally:
            close = getattr(made, "close", None)
            if close is not None:
                close()

    def _made(self, iterates: str, how: str) -> Any:
        made = self._stage(self._given, self._ctx)
        if hasattr(made, iterates):
            return made
        if inspect.iscoroutine(made):
            made.close()
        message = f'stage "{self._ctx.stage}": its function returned a {type(made).__name__}'
        raise StageError("INVALID_OUTPUT", f"{message}; write it as {how} with yield")
