"""Stages that read streams, as activities."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel, Field
from temporalio.exceptions import ApplicationError

import millrace
from calls import CALL, Env, call, failure, run
from memory_log import MemoryLog
from millrace import ArtifactStore, Context, StageError, Stream, manifest
from millrace import _reader as readers
from millrace import _writer as writers
from millrace._channel import ChannelName
from millrace._reader import LEFT
from millrace._serve import Server
from millrace._slots import Slots
from millrace._writer import ChannelWriter

SOURCE = ChannelName("run-1", "each[2]/lines")
OWN = ChannelName("run-1", "each[2]/count")
READS = {**CALL, "reads": {"theLines": {"path": "each[2]/lines", "of": "entries"}}, "entryMs": 60_000}
STREAMS = {**READS, "stream": {"ttlMs": 60_000}}


class Lines(BaseModel):
    lines: Stream[str] = Field(alias="theLines")
    more: int = 1


class Made(BaseModel):
    lines: list[str]


class Nothing(BaseModel):
    pass


@millrace.stage(name="later")
async def later(input: Lines) -> Made:
    return Made(lines=[line async for line in input.lines])


@millrace.stage(name="now")
def now(input: Lines) -> Made:
    return Made(lines=list(input.lines))


@millrace.stage(name="shout")
async def shout(input: Lines, ctx: Context) -> AsyncIterator[str]:
    if ctx.stage == "resumes":
        _ = ctx.resume_from
    async for line in input.lines:
        if line == "fail" and ctx.attempt == 1:
            raise StageError("BACKEND_UNAVAILABLE", "gone")
        yield line.upper()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def streaming(store: ArtifactStore, log: MemoryLog) -> Iterator[Server]:
    executor = ThreadPoolExecutor(4)
    yield Server(store, executor, most_media_bytes=1_000, concurrency=4, channels=log)
    executor.shutdown(wait=False)


async def write(log: MemoryLog, *values: Any, name: ChannelName = SOURCE, end: bool = True) -> ChannelWriter:
    writer = await ChannelWriter.open(log, name, 60_000)
    for value in values:
        await writer.add(json.dumps({"value": value} if name.of == "entries" else value))
    if end:
        await writer.end({"as": "done"})
    return writer


def made(log: MemoryLog, name: ChannelName = OWN) -> list[Any]:
    return [json.loads(text)["value"] for text in log.texts(name)]


@pytest.mark.parametrize("stage", [later, now])
def test_entries_are_read_while_they_are_made_and_what_is_passed_is_told(
    streaming: Server, log: MemoryLog, stage: Any
) -> None:
    async def main() -> None:
        writer = await write(log, "one", end=False)
        reading = asyncio.create_task(call(streaming, stage, {"more": 2}, call=READS))
        while log.needs.get((SOURCE, OWN.path)) != 1:
            await asyncio.sleep(0.005)
        await writer.add('{"value":"two"}')
        await writer.end({"as": "done"})
        assert await reading == {"output": {"lines": ["one", "two"]}}
        # It holds its producer back no longer.
        assert log.needs == {(SOURCE, OWN.path): LEFT}

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("stage", [later, now])
def test_a_list_is_read_where_there_is_no_stream(server: Server, stage: Any) -> None:
    assert run(server, stage, {"theLines": ["one", "two"]}) == {"output": {"lines": ["one", "two"]}}
    wrong = failure(server, stage, {"theLines": ["one", 2]})
    assert (wrong.type, wrong.details[0]["fields"][0]["field"]) == ("INVALID_INPUT", "theLines.1")


def test_in_a_test_of_the_authors_it_is_a_list_that_is_read_once() -> None:
    assert now(Lines(theLines=["one"])).lines == ["one"]  # type: ignore[arg-type]
    assert asyncio.run(later(Lines(theLines=Stream(["one"])))).lines == ["one"]
    lines = Stream(["one", "two"])
    assert list(lines) == ["one", "two"]
    with pytest.raises(RuntimeError, match="read once"):
        list(lines)


@pytest.mark.parametrize(("resumes", "read_again"), [("resumes", False), ("begins", True)])
def test_another_attempt_reads_on_behind_what_it_has_yielded_for_or_from_the_beginning(
    streaming: Server, log: MemoryLog, resumes: str, read_again: bool
) -> None:
    sent = {**STREAMS, "stage": resumes}
    asyncio.run(write(log, "one", "two", "fail", "four"))
    assert failure(streaming, shout, {}, sent).type == "BACKEND_UNAVAILABLE"
    assert made(log) == ["ONE", "TWO"]
    hash = log.channels[SOURCE].entries[2].before
    assert json.loads(log.texts(OWN)[1])["read"] == {"theLines": {"number": 2, "hash": hash}}
    log.needs.clear()
    first: list[int] = []
    read = log.read

    async def watched(name: ChannelName, number: int = 0, most: int = 1) -> Any:
        first.append(number)
        return await read(name, number, most)

    log.read = watched  # type: ignore[method-assign]
    items = ["ONE", "TWO", "FAIL", "FOUR"]
    assert run(streaming, shout, {}, Env(attempt=2), sent) == {"output": {"items": items}}
    assert made(log) == items
    assert first[0] == (0 if read_again else 2)


def test_a_list_and_a_stream_have_positions_of_their_own(streaming: Server, log: MemoryLog) -> None:
    sent = {**STREAMS, "stage": "resumes"}
    listed = {**CALL, "stage": "resumes", "stream": {"ttlMs": 60_000}}
    asyncio.run(write(log, "one", "fail"))
    failure(streaming, shout, {}, sent)
    # Its stream is lost: it begins anew, and what it repeats is dropped.
    outcome = run(streaming, shout, {"theLines": ["one", "fail"]}, Env(attempt=2), listed)
    assert outcome == {"output": {"items": ["ONE", "FAIL"]}}
    assert json.loads(log.texts(OWN)[1])["read"] == {"theLines": {"number": 2}}


def test_sentences_tokens_and_pieces_are_as_in_the_collected_list(streaming: Server, log: MemoryLog) -> None:
    class Any_(BaseModel):
        parts: Stream[Any]

    class Got(BaseModel):
        parts: list[Any]

    def collect(input: Any_) -> Got:
        return Got(parts=list(input.parts))

    collect.__annotations__ = {"input": Any_, "return": Got}
    stage = millrace.stage(collect)
    piece = {"audio": {"uri": "a"}, "text": "One.", "at": 4, "next": {"number": 1, "hash": ""}}
    for of, values, expected in (
        ("sentences", [" One. ", " ", "Two."], ["One.", "Two."]),
        ("tokens", [" One", ". "], [" One", ". "]),
        ("chunks", [piece], [{"audio": {"uri": "a"}, "number": 0, "text": "One.", "at": 4}]),
    ):
        asyncio.run(write(log, *values, name=ChannelName("run-1", "a", of)))
        sent = {**CALL, "reads": {"parts": {"path": "a", "of": of}}, "entryMs": 60_000}
        assert run(streaming, stage, {}, sent=sent) == {"output": {"parts": expected}}


def test_failures_have_codes(streaming: Server, server: Server, log: MemoryLog) -> None:
    def code(stage: Any = later, on: Server = streaming, sent: Any = READS) -> tuple[str | None, bool]:
        failed = failure(on, stage, {}, sent)
        return failed.type, failed.non_retryable

    assert code(on=server) == ("STREAM_LOST", True)
    asyncio.run(write(log, "one", 2))
    assert code() == ("INVALID_INPUT", True)
    assert code(now) == ("INVALID_INPUT", True)
    other = {**READS, "reads": {"others": {"path": "a", "of": "entries"}}}
    assert code(sent=other) == ("INVALID_INPUT", True)
    # Entries that all readers had passed, another history, and a producer that has given its stream up.
    kept = log.channels[SOURCE]
    kept.first, kept.entries = 1, kept.entries[1:]
    assert code() == ("STREAM_LOST", True)
    kept.first = 0
    assert code() == ("STREAM_LOST", True)
    log.channels.clear()
    asyncio.run(write(log, "one", end=False))
    log.channels[SOURCE].end = '{"as":"void"}'
    assert code() == ("STREAM_LOST", True)


def test_a_store_that_is_away_or_has_lost_the_channel_is_waited_for(
    streaming: Server, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"_AWAY_S": 0.6, "_GONE_S": 0.3, "_GIVEN_UP_S": 0.1}.items():
        monkeypatch.setattr(readers, name, seconds)
    monkeypatch.setattr(writers, "_BEAT_S", 0.05)
    monkeypatch.setattr(writers, "_PAUSE_S", 0.01)

    async def main() -> None:
        writer = await write(log, "one", end=False)
        reading = asyncio.create_task(call(streaming, later, {}, call=READS))
        while log.needs.get((SOURCE, OWN.path)) != 1:
            await asyncio.sleep(0.005)
        log.away = 6
        del log.channels[SOURCE]
        await writer.add('{"value":"two"}')
        await writer.end({"as": "done"})
        assert await reading == {"output": {"lines": ["one", "two"]}}
        # Nobody writes the second one: the store was away when its producer began.
        log.channels.clear()
        log.away = 4
        with pytest.raises(ApplicationError) as lost:
            await call(streaming, later, {}, call=READS)
        assert lost.value.type == "STREAM_LOST"
        log.away = 1_000
        with pytest.raises(ApplicationError) as lost:
            await call(streaming, later, {}, call=READS)
        assert lost.value.type == "STREAM_LOST"

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("stage", [later, now])
def test_a_reader_gives_up_its_slot_to_its_producer(store: ArtifactStore, log: MemoryLog, stage: Any) -> None:
    @millrace.stage(name="lines")
    def lines(input: Nothing) -> Iterator[str]:
        yield "one"
        yield "two"

    async def main(server: Server) -> None:
        slots._used = 2
        reading = asyncio.create_task(call(server, stage, {}, call=READS))
        await asyncio.sleep(0.05)
        producer = {**CALL, "path": SOURCE.path, "stage": "lines", "stream": {"ttlMs": 60_000}}
        assert await call(server, lines, {}, call=producer) == {"output": {"items": ["one", "two"]}}
        assert await reading == {"output": {"lines": ["one", "two"]}}
        assert (slots._used, slots._left) == (2, 0)
        # All slots are free again, also of a reader that is cancelled while it waits.
        log.channels.clear()
        reading = asyncio.create_task(call(server, stage, {}, call=READS))
        await asyncio.sleep(0.2)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        while slots._left > 0:
            await asyncio.sleep(0.005)
        assert await call(server, lines, {}, call=producer) == {"output": {"items": ["one", "two"]}}

    slots = Slots(1)
    with ThreadPoolExecutor(4) as executor:
        server = Server(store, executor, most_media_bytes=1_000, concurrency=1, channels=log, slots=slots)
        asyncio.run(asyncio.wait_for(main(server), 20))


@pytest.mark.parametrize("sort", ["async", "thread"])
def test_an_entry_may_take_so_long_and_the_wait_for_one_does_not_count(
    streaming: Server, log: MemoryLog, sort: str
) -> None:
    ended = threading.Event()

    @millrace.stage(name="async")
    async def slow(input: Lines) -> Made:
        async for line in input.lines:
            try:
                await asyncio.sleep(0 if line == "one" else 10)
            except asyncio.CancelledError:
                ended.set()
                raise
        return Made(lines=[])

    @millrace.stage(name="thread")
    def slow_here(input: Lines, ctx: Context) -> Made:
        for line in input.lines:
            while line == "two" and not ctx.cancelled:
                threading.Event().wait(0.01)
            if ctx.cancelled:
                ended.set()
                break
        return Made(lines=[])

    async def main() -> None:
        writer = await write(log, "one", end=False)
        sent = {**READS, "entryMs": 200}
        reading = asyncio.create_task(call(streaming, slow if sort == "async" else slow_here, {}, call=sent))
        await asyncio.sleep(0.6)
        assert not reading.done()
        await writer.add('{"value":"two"}')
        with pytest.raises(ApplicationError, match="an entry took longer than 0.2 s") as late:
            await reading
        assert (late.value.type, late.value.non_retryable) == ("STAGE_TIMEOUT", False)
        await writer.end({"as": "done"})
        while not ended.is_set():
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_the_manifest_says_what_is_a_stream() -> None:
    class Word(BaseModel):
        text: str

    class Words(BaseModel):
        words: Stream[Word]
        anything: Stream  # type: ignore[type-arg]

    def read(input: Words) -> Made:
        return Made(lines=[word.text for word in input.words])

    read.__annotations__ = {"input": Words, "return": Made}
    (entry,) = manifest([millrace.stage(read)], "python")["stages"]
    properties = entry["input"]["properties"]
    assert (properties["words"]["type"], properties["words"]["stream"]) == ("array", True)
    assert properties["words"]["items"] == {"$ref": "#/$defs/Word"}
    assert properties["anything"]["stream"] is True
    assert entry["input"]["required"] == ["words", "anything"]
