"""Stages that yield, as activities."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel, Field
from temporalio.exceptions import ApplicationError

import millrace
from calls import CALL, Env, Number, call, failure, run
from memory_log import MemoryLog
from millrace import ArtifactStore, Context, Resume, SettingError, StageError, manifest
from millrace._channel import ChannelName
from millrace._serve import Server
from millrace._slots import Slots

STREAM = {**CALL, "stream": {"ttlMs": 60_000}}
NAME = ChannelName("run-1", "each[2]/count")


class Word(BaseModel):
    text: str = Field(alias="theText")
    more: int = 1


@millrace.stage
async def count(input: Number, ctx: Context) -> AsyncIterator[int]:
    first = ctx.resume_from.count if ctx.resume_from else 0
    for number in range(first, input.n):
        yield number


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def streaming(store: ArtifactStore, log: MemoryLog) -> Iterator[Server]:
    executor = ThreadPoolExecutor(4)
    yield Server(store, executor, most_media_bytes=1_000, concurrency=4, channels=log)
    executor.shutdown(wait=False)


def entries(*values: str) -> list[str]:
    return [f'{{"value":{value}}}' for value in values]


def test_what_is_yielded_is_committed_and_its_list_is_the_result(streaming: Server, log: MemoryLog) -> None:
    assert run(streaming, count, {"n": 3}, sent=STREAM) == {"output": {"items": [0, 1, 2]}}
    assert log.texts(NAME) == entries("0", "1", "2")
    assert log.channels[NAME].end == '{"as":"done","outcome":{"output":{"items":[0,1,2]}}}'


def test_the_channel_has_the_name_that_the_call_says(streaming: Server, log: MemoryLog) -> None:
    sent = {**CALL, "stream": {"ttlMs": 60_000, "path": "each[2]/count@1f0c4d2e"}}
    assert run(streaming, count, {"n": 1}, sent=sent) == {"output": {"items": [0]}}
    (name,) = log.channels
    assert (name.key, name.stage) == ("millrace:channel:{run-1}:each[2]/count@1f0c4d2e:entries", "each[2]/count")


def test_where_nobody_reads_it_there_is_no_channel(streaming: Server, server: Server, log: MemoryLog) -> None:
    assert run(streaming, count, {"n": 2}) == {"output": {"items": [0, 1]}}
    assert run(server, count, {"n": 2}, sent=STREAM) == {"output": {"items": [0, 1]}}
    assert log.channels == {}


def test_generators_of_all_sorts_and_entries_of_all_types(streaming: Server, log: MemoryLog) -> None:
    @millrace.stage
    def words(input: Number, ctx: Context) -> Iterator[Word]:
        ctx.usage(output_tokens=2)
        for i in range(input.n):
            yield Word(theText=f"w{i}")

    def lists(input: Number) -> Generator[list[float], None, None]:
        yield [0.5]

    async def maybe(input: Number) -> AsyncGenerator[str | None, None]:
        yield None
        yield "ä"

    def ready(input: Number) -> Iterable[int]:
        return [1, 2]

    outcome = run(streaming, words, {"n": 1}, sent=STREAM)
    assert outcome == {"output": {"items": [{"theText": "w0", "more": 1}]}, "usage": {"outputTokens": 2}}
    assert log.texts(NAME) == entries('{"theText":"w0","more":1}')
    for stage, made in ((lists, [[0.5]]), (maybe, [None, "ä"]), (ready, [1, 2])):
        log.channels.clear()
        assert run(streaming, millrace.stage(stage), {"n": 1}, sent=STREAM)["output"] == {"items": made}
        assert len(log.texts(NAME)) == len(made)


@pytest.mark.parametrize("sort", ["async", "thread"])
def test_an_entry_is_committed_before_the_function_goes_on(streaming: Server, log: MemoryLog, sort: str) -> None:
    seen: list[int] = []

    @millrace.stage(name="async")
    async def later(input: Number) -> AsyncIterator[int]:
        for i in range(3):
            yield i
            seen.append(len(log.texts(NAME)))

    @millrace.stage(name="thread")
    def now(input: Number) -> Iterator[int]:
        for i in range(3):
            yield i
            seen.append(len(log.texts(NAME)))

    run(streaming, later if sort == "async" else now, {"n": 1}, sent=STREAM)
    assert seen == [1, 2, 3]


def failing(first: int, resumes: bool) -> tuple[Any, list[int]]:
    """Fails in its first attempt behind entry `first`; what it made, in all attempts."""
    made: list[int] = []

    @millrace.stage(name="failing")
    def stage(input: Number, ctx: Context) -> Iterator[int]:
        begin = ctx.resume_from.count if resumes and ctx.resume_from else 0
        for i in range(begin, input.n):
            if i == first and ctx.attempt == 1:
                raise StageError("BACKEND_UNAVAILABLE", "gone")
            made.append(i)
            yield i

    return stage, made


@pytest.mark.parametrize(("resumes", "again"), [(True, []), (False, [0, 1])])
def test_another_attempt_goes_on_behind_what_is_committed_or_repeats_it(
    streaming: Server, log: MemoryLog, resumes: bool, again: list[int]
) -> None:
    stage, made = failing(2, resumes)
    assert failure(streaming, stage, {"n": 4}, sent=STREAM).type == "BACKEND_UNAVAILABLE"
    assert log.texts(NAME) == entries("0", "1") and log.channels[NAME].end is None
    assert run(streaming, stage, {"n": 4}, Env(attempt=2), STREAM) == {"output": {"items": [0, 1, 2, 3]}}
    assert log.texts(NAME) == entries("0", "1", "2", "3")
    assert made == [0, 1, *again, 2, 3]


def test_what_it_goes_on_behind(streaming: Server, log: MemoryLog) -> None:
    seen: list[Resume | None] = []

    @millrace.stage
    def words(input: Number, ctx: Context) -> Iterator[Word]:
        seen.append(ctx.resume_from)
        yield Word(theText=f"attempt {ctx.attempt}")
        seen.append(ctx.resume_from)
        if ctx.attempt == 1:
            raise StageError("BACKEND_UNAVAILABLE", "gone")

    failure(streaming, words, {"n": 1}, sent=STREAM)
    run(streaming, words, {"n": 1}, Env(attempt=2), STREAM)
    resume = Resume(count=1, last={"theText": "attempt 1", "more": 1})
    assert seen == [None, None, resume, resume]
    # In a test of the author's.
    assert list(words(Number(n=1), Context(attempt=2, resume_from=resume)))[0].text == "attempt 2"


def test_a_function_that_has_begun_anew_is_not_told_of_a_beginning(streaming: Server) -> None:
    seen: list[Resume | None] = []

    @millrace.stage
    def late(input: Number, ctx: Context) -> Iterator[int]:
        yield 1
        seen.append(ctx.resume_from)
        yield 2
        if ctx.attempt == 1:
            raise StageError("BACKEND_UNAVAILABLE", "gone")

    failure(streaming, late, {"n": 1}, sent=STREAM)
    assert run(streaming, late, {"n": 1}, Env(attempt=2), STREAM) == {"output": {"items": [1, 2]}}
    assert seen == [None, None]


def test_something_else_is_cut(streaming: Server, log: MemoryLog) -> None:
    @millrace.stage
    async def roll(input: Number, ctx: Context) -> AsyncIterator[str]:
        for i in range(input.n):
            yield f"{ctx.attempt} {i}"
        if ctx.attempt == 1:
            raise StageError("BACKEND_UNAVAILABLE", "gone")

    @millrace.stage(name="roll")
    def shorter(input: Number) -> Iterator[str]:
        yield "1 0"

    failure(streaming, roll, {"n": 2}, sent=STREAM)
    for stage in (roll, shorter):
        cut = failure(streaming, stage, {"n": 2}, STREAM, Env(attempt=2))
        assert (cut.type, cut.non_retryable) == ("STREAM_CUT", True) and "after 2 entries" in str(cut)
    assert log.texts(NAME) == entries('"1 0"', '"1 1"')
    ends = {**CALL, "stream": {"ttlMs": 60_000, "onCut": "end"}}
    ended = {"output": {"items": ["1 0", "1 1"]}}
    assert run(streaming, roll, {"n": 2}, Env(attempt=2), ends) == ended
    assert log.channels[NAME].end == '{"as":"cut","outcome":{"output":{"items":["1 0","1 1"]}}}'
    # Whose report was lost: it is not made again.
    assert run(streaming, roll, {"n": 2}, Env(attempt=3), STREAM) == ended


@pytest.mark.parametrize(("again", "code"), [(0, None), (7, "STREAM_CUT")])
def test_what_the_store_has_dropped_is_made_again_and_compared(
    streaming: Server, log: MemoryLog, again: int, code: str | None
) -> None:
    @millrace.stage(name="count")
    def stage(input: Number, ctx: Context) -> Iterator[int]:
        assert ctx.resume_from is None
        for i in range(4):
            if i == 3 and ctx.attempt == 1:
                raise StageError("BACKEND_UNAVAILABLE", "gone")
            yield again + i if ctx.attempt > 1 and i < 2 else i

    failure(streaming, stage, {"n": 1}, sent=STREAM)
    kept = log.channels[NAME]
    kept.first, kept.entries = 2, kept.entries[2:]
    if code is None:
        assert run(streaming, stage, {"n": 1}, Env(attempt=2), STREAM) == {"output": {"items": [0, 1, 2, 3]}}
        assert [entry.text for entry in kept.entries] == entries("2", "3")
    else:
        ends = {**CALL, "stream": {"ttlMs": 60_000, "onCut": "end"}}
        cut = failure(streaming, stage, {"n": 1}, ends, Env(attempt=2))
        assert cut.type == code and "after 3 entries" in str(cut)


def test_entries_that_do_not_fit(streaming: Server, log: MemoryLog) -> None:
    def wrong(input: Number) -> Iterator[int]:
        yield 1
        yield "two"  # type: ignore[misc]

    def nan(input: Number) -> Iterator[float]:
        yield float("nan")

    def much(input: Number) -> Iterator[str]:
        yield "x" * 800_000
        yield "x" * 800_000

    failed = failure(streaming, millrace.stage(wrong), {"n": 1}, STREAM)
    assert (failed.type, failed.details[0]["fields"][0]["field"]) == ("INVALID_OUTPUT", "entry")
    assert log.texts(NAME) == entries("1")
    log.channels.clear()
    assert failure(streaming, millrace.stage(nan), {"n": 1}, STREAM).type == "INVALID_OUTPUT"
    failed = failure(streaming, millrace.stage(much), {"n": 1}, STREAM)
    assert (failed.type, failed.non_retryable) == ("RESULT_TOO_LARGE", True)
    assert len(log.texts(NAME)) == 1


def test_a_function_that_yields_nothing_or_ends_more_than_itself(streaming: Server) -> None:
    def returns(input: Number) -> Iterator[int]:
        return 7  # type: ignore[return-value]

    async def awaits(input: Number) -> AsyncIterator[int]:
        return 7  # type: ignore[return-value]

    def exits(input: Number) -> Iterator[int]:
        yield 1
        sys.exit(3)

    async def exits_later(input: Number) -> AsyncIterator[int]:
        yield 1
        sys.exit(3)

    failed = failure(streaming, millrace.stage(returns), {"n": 1}, STREAM)
    assert failed.type == "INVALID_OUTPUT" and "returned a int; write it as def with yield" in str(failed)
    failed = failure(streaming, millrace.stage(awaits), {"n": 1}, STREAM)
    assert failed.type == "INVALID_OUTPUT" and "returned a coroutine; write it as async def with yield" in str(failed)
    for stage in (exits, exits_later):
        with pytest.raises(RuntimeError, match=r"sys.exit\(3\)"):
            run(streaming, millrace.stage(stage), {"n": 1}, sent=STREAM)


@pytest.mark.parametrize("sort", ["async", "thread"])
def test_cancellation_ends_the_generator_and_nothing_more_is_committed(
    store: ArtifactStore, log: MemoryLog, sort: str
) -> None:
    closed = threading.Event()

    @millrace.stage(name="async")
    async def later(input: Number) -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    @millrace.stage(name="thread")
    def now(input: Number) -> Iterator[int]:
        try:
            while True:
                yield 1
                time.sleep(0.01)
        finally:
            closed.set()

    async def main(server: Server) -> None:
        running = asyncio.create_task(call(server, later if sort == "async" else now, {"n": 1}, call=STREAM))
        while NAME not in log.channels or log.channels[NAME].count < 3:
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        while not closed.is_set():
            await asyncio.sleep(0.005)
        count, appends = log.channels[NAME].count, log.appends
        await asyncio.sleep(0.1)
        assert (log.channels[NAME].count, log.appends) == (count, appends)
        # Its slot is free again.
        log.channels.clear()
        assert await call(server, count_of_two, {"n": 2}, call=STREAM) == {"output": {"items": [0, 1]}}

    count_of_two = count
    with ThreadPoolExecutor(1) as executor:
        server = Server(store, executor, most_media_bytes=1_000, concurrency=1, channels=log)
        asyncio.run(asyncio.wait_for(main(server), 30))


def test_an_attempt_that_another_one_has_taken_over_ends(streaming: Server, log: MemoryLog) -> None:
    async def main() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        @millrace.stage(name="slow")
        async def slow(input: Number, ctx: Context) -> AsyncIterator[int]:
            first = ctx.resume_from.count if ctx.resume_from else 0
            for i in range(first, 3):
                yield i
                if ctx.attempt == 1:
                    begun.set()
                    await go.wait()

        lost = asyncio.create_task(call(streaming, slow, {"n": 1}, call=STREAM))
        await begun.wait()
        assert await call(streaming, slow, {"n": 1}, Env(attempt=2), STREAM) == {"output": {"items": [0, 1, 2]}}
        go.set()
        with pytest.raises(ApplicationError) as taken:
            await lost
        assert (taken.value.type, taken.value.non_retryable) == ("STREAM_TAKEN", False)
        assert log.texts(NAME) == entries("0", "1", "2")

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_stream_that_is_void_is_not_made_and_its_list_is_the_result(streaming: Server, log: MemoryLog) -> None:
    run(streaming, count, {"n": 3}, sent=STREAM)
    log.channels[NAME].end = '{"as":"void"}'
    assert run(streaming, count, {"n": 3}, sent=STREAM) == {"output": {"items": [0, 1, 2]}}
    assert log.channels[NAME].end == '{"as":"void"}'


def test_a_store_that_is_away_at_the_start_delays_what_is_read(
    streaming: Server, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from millrace import _writer

    monkeypatch.setattr(_writer, "_AWAY_S", 0.05)
    log.away = 1_000
    assert run(streaming, count, {"n": 2}, sent=STREAM) == {"output": {"items": [0, 1]}}


def test_an_attempt_after_one_that_may_have_committed_entries_waits_for_the_store(
    streaming: Server, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from millrace import _writer

    monkeypatch.setattr(_writer, "_AWAY_S", 0.05)
    monkeypatch.setattr(_writer, "_PAUSE_S", 0.01)

    @millrace.stage(name="count")
    def other(input: Number, ctx: Context) -> Iterator[int]:
        first = ctx.resume_from.count if ctx.resume_from else 10 * ctx.attempt
        for i in range(first, first + 2):
            if i == 11 and not ctx.resume_from:
                raise StageError("BACKEND_UNAVAILABLE", "gone")
            yield i

    failure(streaming, other, {"n": 1}, sent=STREAM)
    log.away = 20
    assert run(streaming, other, {"n": 1}, Env(attempt=2), STREAM) == {"output": {"items": [10, 1, 2]}}
    log.channels.clear()
    # A call that follows another one of the stage.
    log.away = 20
    again = {**CALL, "stream": {"ttlMs": 60_000, "again": True}}
    assert run(streaming, count, {"n": 1}, sent=again) == {"output": {"items": [0]}}
    assert log.texts(NAME) == entries("0")


def test_a_call_that_waits_for_the_store_leaves_its_slot_to_others(store: ArtifactStore, log: MemoryLog) -> None:
    @millrace.stage(name="twice")
    async def twice(input: Number) -> Number:
        return Number(n=2 * input.n)

    async def main(server: Server) -> None:
        slots._used = 1
        log.away = 1_000_000
        again = {**CALL, "stream": {"ttlMs": 60_000, "again": True}}
        waiting = asyncio.create_task(call(server, count, {"n": 2}, call=again))
        while slots._left == 0:
            await asyncio.sleep(0.005)
        assert await call(server, twice, {"n": 2}) == {"output": {"n": 4}}
        assert not waiting.done()
        log.away = 0
        assert await waiting == {"output": {"items": [0, 1]}}
        assert (slots._used, slots._left) == (1, 0)

    slots = Slots(1)
    with ThreadPoolExecutor(4) as executor:
        server = Server(store, executor, most_media_bytes=1_000, concurrency=1, channels=log, slots=slots)
        asyncio.run(asyncio.wait_for(main(server), 10))


@pytest.mark.parametrize("sort", ["async", "thread"])
def test_a_function_that_is_held_back_leaves_its_slot_to_others(
    store: ArtifactStore, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    from millrace import _yielded

    monkeypatch.setattr(_yielded, "_KEEPS_SLOT_S", 0.05)

    @millrace.stage(name="count")
    def plain(input: Number) -> Iterator[int]:
        yield from range(input.n)

    @millrace.stage(name="twice")
    async def twice(input: Number) -> Number:
        return Number(n=2 * input.n)

    async def main(server: Server) -> None:
        slots._used = 1
        log.full = True
        lagging = asyncio.create_task(call(server, count if sort == "async" else plain, {"n": 2}, call=STREAM))
        while slots._left == 0:
            await asyncio.sleep(0.005)
        assert await call(server, twice, {"n": 2}) == {"output": {"n": 4}}
        assert not lagging.done()
        log.full = False
        assert await lagging == {"output": {"items": [0, 1]}}
        assert (slots._used, slots._left) == (1, 0)
        # One that fails, and one that is cancelled.
        for code in ("STREAM_TAKEN", None):
            log.channels.clear()
            log.full = True
            lagging = asyncio.create_task(call(server, count if sort == "async" else plain, {"n": 1}, call=STREAM))
            while slots._left == 0:
                await asyncio.sleep(0.005)
            if code is None:
                lagging.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await lagging
                log.full = False
            else:
                log.channels[NAME].owner = "another attempt"
                with pytest.raises(ApplicationError) as failed:
                    await lagging
                assert failed.value.type == code
            # A cancelled call has ended after a moment, its thread perhaps later.
            while (slots._used, slots._left) != (1, 0):
                await asyncio.sleep(0.005)
        assert await call(server, twice, {"n": 3}) == {"output": {"n": 6}}

    slots = Slots(1)
    with ThreadPoolExecutor(4) as executor:
        server = Server(store, executor, most_media_bytes=1_000, concurrency=1, channels=log, slots=slots)
        asyncio.run(asyncio.wait_for(main(server), 30))


@pytest.mark.parametrize("sort", ["async", "thread"])
def test_a_function_keeps_its_slot_while_the_store_is_away(
    store: ArtifactStore, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    from millrace import _writer, _yielded

    monkeypatch.setattr(_yielded, "_KEEPS_SLOT_S", 0.05)
    monkeypatch.setattr(_writer, "_PAUSE_S", 0.02)
    away = 1_000_000

    @millrace.stage(name="count")
    async def loop(input: Number) -> AsyncIterator[int]:
        log.away = away
        yield 0

    @millrace.stage(name="count")
    def plain(input: Number) -> Iterator[int]:
        log.away = away
        yield 0

    async def main(server: Server) -> None:
        slots._used = 1
        waiting = asyncio.create_task(call(server, loop if sort == "async" else plain, {"n": 1}, call=STREAM))
        # Ten tries, with 20 ms between them.
        while log.away == 0 or log.away > away - 10:
            await asyncio.sleep(0.005)
        assert (slots._used, slots._left) == (1, 0)
        log.full, log.away = True, 0
        while slots._left == 0:
            await asyncio.sleep(0.005)
        log.full = False
        assert await waiting == {"output": {"items": [0]}}
        assert (slots._used, slots._left) == (1, 0)

    slots = Slots(1)
    with ThreadPoolExecutor(4) as executor:
        server = Server(store, executor, most_media_bytes=1_000, concurrency=1, channels=log, slots=slots)
        asyncio.run(asyncio.wait_for(main(server), 30))


def test_an_attempt_after_one_without_the_store_does_not_wait_for_it(
    streaming: Server, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from millrace import _writer

    monkeypatch.setattr(_writer, "_AWAY_S", 0.05)

    @millrace.stage(name="count")
    def fails(input: Number, ctx: Context) -> Iterator[int]:
        yield ctx.attempt
        if ctx.attempt == 1:
            raise StageError("BACKEND_UNAVAILABLE", "gone")

    log.away = 1_000_000
    first = Env()
    failure(streaming, fails, {"n": 1}, STREAM, first)
    left = first.beats[-1]
    second = Env(attempt=2, heartbeat_details=[left])
    assert run(streaming, fails, {"n": 1}, second, STREAM) == {"output": {"items": [2]}}
    assert all("unstreamed" not in beat for beat in second.beats)
    # The second was lost before its first heartbeat: what the first has left says nothing of it.
    log.away = 20
    assert run(streaming, fails, {"n": 1}, Env(attempt=3, heartbeat_details=[left]), STREAM)
    assert log.texts(NAME) == entries("3")


def test_the_manifest_says_what_it_yields() -> None:
    @millrace.stage
    def words(input: Number) -> Iterator[Word]:
        """Words."""
        yield Word(theText="a")

    made = manifest([count, words], "python")["stages"]
    assert made[0]["entry"] == {"type": "integer"} and "output" not in made[0]
    assert set(made[1]["entry"]["properties"]) == {"theText", "more"}
    assert made[1]["entry"]["required"] == ["theText", "more"]


def bare(input: Number) -> Iterator:  # type: ignore[type-arg]
    yield 1


def odd(input: Number) -> Iterator[threading.Event]:
    yield threading.Event()


def untyped(input: Number):  # type: ignore[no-untyped-def]
    yield 1


def single(input: Number) -> Number:  # type: ignore[misc]
    yield Number(n=1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (bare, "the type of its entries is missing"),
        (odd, "its entries have a type that pydantic does not know"),
        (untyped, "it yields, so its result must be typed"),
        (single, r"it yields, so its result must be typed AsyncIterator\[…\] or Iterator\[…\]"),
    ],
)
def test_functions_whose_entries_have_no_type(function: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        millrace.stage(function)
