"""Stages as Temporal activities that speak the protocol of Millrace's stages."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from ._channel import ChannelLog
from ._held import EntryLimit, HeldSlot
from ._json import check_json, check_size, fields_of
from ._late import FRESH_S, TaskAges, is_current, is_expected
from ._reads import Read, Reads
from ._slots import Slots
from ._threads import LEAST_PAUSE_S, ended, in_loop, in_thread
from ._yielding import Stream, Yielding
from .artifacts import Artifacts
from .context import Context
from .errors import StageError
from .manifest import PROTOCOL
from .stage import Stage
from .store import ArtifactStore

logger = logging.getLogger("millrace")

HEARTBEAT_S = 1.0
"""Time between two heartbeats; a cancellation arrives with the answer to one."""
_GRACE_S = 1.0
"""How long a cancelled function has to end before its call is reported as ended."""


class _Call(BaseModel):
    """Second argument of a stage's activity; the first is its input."""

    model_config = ConfigDict(extra="ignore")

    protocol: int
    run: str
    pipeline: str
    stage: str
    tenant: str
    idempotency_key: str = Field(alias="idempotencyKey")
    path: str | None = None
    deadline_ms: float | None = Field(default=None, alias="deadlineMs")
    priority: str | None = None
    stream: Stream | None = None
    reads: dict[str, Read] = {}
    """Fields of the input that are missing in it, and read from channels while other stages write them."""
    entry_ms: float | None = Field(default=None, alias="entryMs")
    """With `reads`: how long one entry may take."""


class Server:
    """Carries out the calls of stages: checks, context, heartbeats, cancellation, failures, and what they yield.

    `concurrency`: functions at a time, of all stages and task queues together. Calls above it wait, with heartbeats.
    `channels`: where entries are committed and read; None: they are read when the stage has ended. `slots`: of the
    process, which a call gives up while it waits for another stage, for its readers, or for the store of an earlier
    attempt's entries.
    """

    def __init__(
        self,
        store: ArtifactStore,
        executor: ThreadPoolExecutor,
        *,
        most_media_bytes: int,
        concurrency: int,
        channels: ChannelLog | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._store = store
        self._channels = channels
        self._slots = slots
        self._executor = executor
        self._most_media_bytes = most_media_bytes
        self._running = asyncio.Semaphore(concurrency)
        self._ages = TaskAges()

    def activity_of(self, stage: Stage[Any, Any]) -> Callable[..., Awaitable[Any]]:
        """The activity of a stage, for a Temporal worker."""

        @activity.defn(name=stage.name)
        async def run(input: Any, call: Any = None) -> Any:
            if not await is_current(self._ages):
                # Temporal drops this report, as it would drop a result.
                raise ApplicationError("the task arrived after its attempt had ended", type="STAGE_TIMEOUT")
            try:
                return await self._serve(stage, input, call)
            except StageError as error:
                logger.warning("stage %s: %s: %s", stage.name, error.code, error)
                raise _failure(error, stage.name) from error

        return run

    async def _serve(self, stage: Stage[Any, Any], input: Any, call: Any) -> dict[str, Any]:
        known = _call_of(stage, call)
        saved = asyncio.Event()
        loop = asyncio.get_running_loop()
        conversions: dict[str, None] = {}
        artifacts = Artifacts(
            self._store,
            known.tenant,
            most_bytes=self._most_media_bytes,
            on_conversion=lambda what: conversions.setdefault(what),
        )
        ctx = _context(known, artifacts, on_save=lambda: _notify(loop, saved))
        reads = self._reads(stage, known, ctx)
        given = _given(stage, input, reads, known.stage)
        beating = asyncio.create_task(_beat(ctx, saved))
        try:
            if stage.entry is not None:
                served = Yielding(stage, given, ctx, reads, channels=self._channels, executor=self._executor)
                outcome = partial(_result, ctx=ctx, conversions=conversions)
                made: dict[str, Any] = await self._until_cancelled(
                    stage, reads, lambda: asyncio.ensure_future(served.run(known.stream, outcome))
                )
                await reads.leave()
                return made
            output = await self._until_cancelled(stage, reads, lambda: self._begun(stage, given, ctx))
            await reads.leave()
        except BaseException:
            # The report of a failure carries the last heartbeat, so the next attempt has what was saved.
            _heartbeat(ctx, ended=True)
            raise
        finally:
            beating.cancel()
        return _result(_output(stage, output, known.stage), ctx, conversions)

    def _reads(self, stage: Stage[Any, Any], known: _Call, ctx: Context) -> Reads:
        seconds = known.entry_ms / 1_000 if known.reads and known.entry_ms is not None else None
        limit = EntryLimit(known.stage, seconds)
        held = HeldSlot(self._running, self._slots, known.tenant)
        return Reads(ctx, stage.streams, known.reads, self._channels, held=held, limit=limit)

    async def _until_cancelled(
        self, stage: Stage[Any, Any], reads: Reads, begin: Callable[[], asyncio.Future[Any]]
    ) -> Any:
        """The function's result. A cancelled function has a moment to end; then its call is reported as ended."""
        ctx, limit = reads.ctx, reads.limit
        loop = asyncio.get_running_loop()
        since = loop.time()
        # Polls of several queues may each bring a call for the last free slot.
        await self._running.acquire()
        try:
            # A worker that is cut off from Temporal does not learn that another one has got the task.
            if loop.time() - since > FRESH_S and not await is_expected():
                raise ApplicationError("the attempt ended while its call waited for a slot", type="STAGE_TIMEOUT")
            limit.work()
            running = begin()
        except BaseException:
            self._running.release()
            raise
        # Also a function that is cancelled and still runs counts until it ends.
        running.add_done_callback(lambda _: reads.held.end())
        # The error of a function that ends too late is dropped, as its result is.
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            await asyncio.wait([running, limit.late], return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await self._end(stage, ctx, running)
                raise limit.late.result()
        except asyncio.CancelledError:
            await self._end(stage, ctx, running)
            raise
        finally:
            limit.end()
        return running.result()

    async def _end(self, stage: Stage[Any, Any], ctx: Context, running: asyncio.Future[Any]) -> None:
        ctx._cancelled.set()
        if stage.is_async or stage.entry is not None:
            running.cancel()
        await asyncio.wait([running], timeout=_GRACE_S)
        if not running.done():
            logger.warning("stage %s was cancelled and still runs; check ctx.cancelled in its loops", stage.name)

    def _begun(self, stage: Stage[Any, Any], given: BaseModel, ctx: Context) -> asyncio.Future[Any]:
        begun: asyncio.Future[Any]
        if stage.is_async:
            begun = asyncio.ensure_future(_awaited(stage, given, ctx))
        else:
            run = contextvars.copy_context().run
            loop = asyncio.get_running_loop()
            begun = loop.run_in_executor(self._executor, run, _called, stage, given, ctx, loop)
        return begun


async def _awaited(stage: Stage[Any, Any], given: BaseModel, ctx: Context) -> Any:
    return await ended(stage(given, ctx))


def _called(stage: Stage[Any, Any], given: BaseModel, ctx: Context, loop: asyncio.AbstractEventLoop) -> Any:
    def work() -> Any:
        made = stage(given, ctx)
        return in_loop(made, ctx, loop) if inspect.iscoroutine(made) else made

    return in_thread(work)


def _notify(loop: asyncio.AbstractEventLoop, saved: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(saved.set)
    except RuntimeError:
        pass  # a cancelled function that still runs after the worker has ended


async def _beat(ctx: Context, saved: asyncio.Event) -> None:
    """Sends heartbeats: regularly, and soon after something was saved."""
    while True:
        saved.clear()
        _heartbeat(ctx)
        await asyncio.sleep(LEAST_PAUSE_S)
        try:
            await asyncio.wait_for(saved.wait(), HEARTBEAT_S - LEAST_PAUSE_S)
        except asyncio.TimeoutError:
            pass


def _heartbeat(ctx: Context, ended: bool = False) -> None:
    # Also what an earlier attempt left: a heartbeat without it would erase it.
    # Of an attempt that is lost with its worker it is not known whether it has committed entries.
    activity.heartbeat({"progress": ctx.progress, **({"unstreamed": ctx.attempt} if ended and ctx._unstreamed else {})})


def _call_of(stage: Stage[Any, Any], call: Any) -> _Call:
    try:
        known = _Call.model_validate(call)
    except ValidationError as error:
        message = (
            f'the activity "{stage.name}" is a stage of Millrace; declare it with protocol: "millrace" '
            f"({error.error_count()} fields of its second argument are missing or wrong)"
        )
        raise StageError("INVALID_INPUT", message, fields=fields_of(error)) from None
    if known.protocol != PROTOCOL:
        message = f"the run speaks version {known.protocol} of the protocol, this worker {PROTOCOL}; upgrade the older"
        raise StageError("UNKNOWN_PLAN_VERSION", message)
    return known


def _context(call: _Call, artifacts: Artifacts, on_save: Callable[[], None]) -> Context:
    info = activity.info()
    details = info.heartbeat_details[0] if info.heartbeat_details else None
    left = details if isinstance(details, dict) else {}
    ctx = Context(
        run=call.run,
        pipeline=call.pipeline,
        stage=call.stage,
        path=call.path,
        tenant=call.tenant,
        attempt=info.attempt,
        idempotency_key=call.idempotency_key,
        deadline=_deadline(info, call.deadline_ms),
        priority=call.priority,
        progress=left.get("progress"),
        artifacts=artifacts,
        on_save=on_save,
    )
    ctx._again = info.attempt > 1 and left.get("unstreamed") != info.attempt - 1
    return ctx


def _deadline(info: activity.Info, deadline_ms: float | None) -> datetime | None:
    """The first of the ends that the attempt, all attempts and the stage have."""
    ends: list[datetime] = []
    if info.start_to_close_timeout:
        ends.append(info.started_time + info.start_to_close_timeout)
    if info.schedule_to_close_timeout:
        ends.append(info.scheduled_time + info.schedule_to_close_timeout)
    if deadline_ms is not None:
        ends.append(info.scheduled_time + timedelta(milliseconds=deadline_ms))
    return min(ends, default=None)


def _given(stage: Stage[Any, Any], input: Any, reads: Reads, name: str) -> BaseModel:
    """The checked input, with its streams."""
    whole = {**input, **reads.streams} if isinstance(input, dict) else input
    given = _model(stage.input, whole, "INVALID_INPUT", name)
    for attribute, field in stage.input.model_fields.items():
        known = field.alias or attribute
        if known in stage.streams and not reads.reads(known):
            reads.track(known, getattr(given, attribute))
    return given


def _model(model: type[BaseModel], value: Any, code: str, stage: str) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fields = fields_of(error)
        first = fields[0]
        more = f", and {len(fields) - 1} more" if len(fields) > 1 else ""
        what = "input" if code == "INVALID_INPUT" else "output"
        message = f'the {what} of stage "{stage}": {first["field"]}: {first["message"]}{more}'
        raise StageError(code, message, fields=fields) from None


def _result(output: dict[str, Any], ctx: Context, conversions: dict[str, None]) -> dict[str, Any]:
    return {
        "output": output,
        **({"usage": ctx._usage} if ctx._usage else {}),
        **({"conversions": list(conversions)} if conversions else {}),
    }


def _output(stage: Stage[Any, Any], value: Any, name: str) -> dict[str, Any]:
    output = value if isinstance(value, stage.output) else _model(stage.output, value, "INVALID_OUTPUT", name)
    try:
        made: dict[str, Any] = output.model_dump(mode="json", by_alias=True, warnings="error")
    except PydanticSerializationError as error:
        raise StageError("INVALID_OUTPUT", f'the output of stage "{name}": {error}') from None
    check_size(check_json(made, "output"), made, name)
    return made


def _failure(error: StageError, stage: str) -> ApplicationError:
    details: dict[str, Any] = {"stage": stage, **({"fields": list(error.fields)} if error.fields else {})}
    return ApplicationError(str(error)[:5_000], details, type=error.code, non_retryable=not error.retryable)
