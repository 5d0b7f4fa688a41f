"""The writer of a channel, and channels in Redis where the tests have one."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from dataclasses import replace

import pytest

from memory_log import MemoryLog
from millrace import SettingError, StageError
from millrace import _writer as writers
from millrace._channel import ChannelLog, ChannelName, Entry, RedisLog, Standing, Unreachable, Write
from millrace._held import HeldSlot
from millrace._moment import Moment, age, now
from millrace._writer import ChannelWriter

NAME = ChannelName("run-ü", "each[2]/count")


async def opened(log: ChannelLog, name: ChannelName = NAME) -> ChannelWriter:
    return await ChannelWriter.open(log, name, 60_000)


def test_the_hashes_are_those_of_typescript() -> None:
    # test/unit/python/agreement.test.ts has the same values.
    assert NAME.start == "2319978abdd7305af0bd34e70874629b"
    assert Entry(NAME.start, '{"value":"ä"}').after == "18428d81c6dd990a407055a1d53ba952"
    assert NAME.key == "millrace:channel:{run-ü}:each[2]/count:entries"


def test_entries_are_committed_in_order_and_a_next_writer_finds_them() -> None:
    async def main() -> None:
        log = MemoryLog()
        first = await opened(log)
        for text in ("1", "2"):
            await first.add(text)
        assert log.texts(NAME) == ["1", "2"]
        second = await opened(log)
        assert second.before == [1, 2] and second.before_end is None
        with pytest.raises(StageError, match="is written by another attempt") as taken:
            await first.add("3")
        assert taken.value.code == "STREAM_TAKEN" and taken.value.retryable
        await second.add("3")
        await second.end({"as": "done", "outcome": "all"})
        assert log.texts(NAME) == ["1", "2", "3"]
        assert (await opened(log)).before_end == {"as": "done", "outcome": "all"}
        first.close()

    asyncio.run(main())


def test_a_channel_is_kept_after_its_end_for_as_long_as_its_run_may_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        log = MemoryLog()
        writes: list[Write] = []
        append = log.append

        async def noted(name: ChannelName, write: Write) -> Standing:
            writes.append(write)
            return await append(name, write)

        monkeypatch.setattr(log, "append", noted)
        for ttl_ms in (6 * 3_600_000, 900_000):
            writer = await ChannelWriter.open(log, replace(NAME, path=f"count-{ttl_ms}"), ttl_ms)
            await writer.end({"as": "done"})
        assert [write.ttl_ms for write in writes] == [6 * 3_600_000, 3_600_000]

    asyncio.run(main())


def test_a_lost_reply_and_a_store_that_was_away_commit_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_PAUSE_S", 0.001)

    async def main() -> None:
        log = MemoryLog()
        writer = await opened(log)
        await writer.add("1")
        log.lose_reply = True
        await writer.add("2")
        log.away = 5
        await writer.add("3")
        assert log.texts(NAME) == ["1", "2", "3"]
        writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("kept", [0, 1])
def test_what_the_store_has_lost_is_stored_again(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(writers, "_BEAT_S", 0.01)

    async def main() -> None:
        log = MemoryLog()
        writer = await opened(log)
        for text in ("1", "2"):
            await writer.add(text)
        channel = log.channels[NAME]
        if kept == 0:
            del log.channels[NAME]
        else:
            channel.hash, channel.entries = channel.entries[kept].before, channel.entries[:kept]
        # Nothing is added: a beat notices it.
        while NAME not in log.channels or log.channels[NAME].count < 2:
            await asyncio.sleep(0.005)
        await writer.add("3")
        assert log.texts(NAME) == ["1", "2", "3"]
        writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_another_history_is_lost_and_not_overwritten() -> None:
    async def main() -> None:
        log = MemoryLog()
        writer = await opened(log)
        await writer.add("1")
        kept = log.channels[NAME]
        kept.entries = [Entry(NAME.start, "7")]
        kept.hash = kept.entries[0].after
        with pytest.raises(StageError, match="has lost entries") as lost:
            await writer.add("2")
        assert lost.value.code == "STREAM_LOST" and not lost.value.retryable
        assert log.texts(NAME) == ["7"]
        writer.close()

    asyncio.run(main())


def test_a_writer_goes_on_behind_entries_that_the_store_has_dropped() -> None:
    async def main() -> None:
        log = MemoryLog()
        writer = await opened(log)
        for text in ("1", "2"):
            await writer.add(text)
        writer.close()
        kept = log.channels[NAME]
        dropped = kept.entries[0]
        kept.first, kept.entries = 1, kept.entries[1:]
        second = await opened(log)
        assert (second.before, second.first, second.start_hash) == ([2], 1, NAME.start)
        assert second.first_hash == dropped.after
        await second.add("3")
        assert [entry.text for entry in kept.entries] == ["2", "3"]
        # What is lost is stored again, from the first entry that it has.
        del log.channels[NAME]
        await second.add("4")
        restored = log.channels[NAME]
        assert (restored.first, [entry.text for entry in restored.entries]) == (1, ["2", "3", "4"])
        second.close()

    asyncio.run(main())


def test_limits_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_AWAY_S", 0.05)
    monkeypatch.setattr(writers, "_FULL_S", 0.05)
    monkeypatch.setattr(writers, "_PAUSE_S", 0.01)

    async def main() -> None:
        log = MemoryLog()
        log.away = 1_000
        with pytest.raises(Unreachable):
            await ChannelWriter.open(log, NAME, 60_000)
        # Unless an earlier writer may have committed entries.
        log.away = 20
        patient = HeldSlot(asyncio.Semaphore(1), None, "acme")
        (await ChannelWriter.open(log, NAME, 60_000, patient=patient)).close()
        assert log.away == 0
        log.away = 2
        writer = await opened(log)
        log.full = True
        with pytest.raises(StageError, match="its readers lag behind") as full:
            await writer.add("1")
        assert full.value.code == "STREAM_FULL" and full.value.retryable
        writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_nothing_is_opened_of_a_run_that_was_erased_since_the_attempt_began() -> None:
    async def main() -> None:
        log = MemoryLog()
        begun = now()
        writer = await ChannelWriter.open(log, NAME, 60_000, begun=begun)
        log.channels.clear()
        log.erased[NAME.run] = time.monotonic()
        with pytest.raises(StageError, match="its run was erased") as late:
            await ChannelWriter.open(log, NAME, 60_000, begun=begun)
        assert late.value.code == "STREAM_TAKEN"
        # Nor does one that was open before store anything again.
        with pytest.raises(StageError, match="its run was erased"):
            await writer.add("1")
        assert not log.channels
        writer.close()
        # A run that is started under the same id begins later.
        (await opened(log)).close()
        assert list(log.channels) == [NAME]

    asyncio.run(main())


def test_a_moment_is_older_by_the_time_for_which_the_machine_was_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = [100.0, 1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clocks[0])
    monkeypatch.setattr(time, "time", lambda: clocks[1])
    moment = now()
    assert moment == Moment(100.0, 1_000.0)
    clocks[:] = [102.0, 1_002.0]
    assert age(moment) == 2.0
    # The wall clock goes on, or is set back.
    clocks[:] = [102.0, 4_600.0]
    assert age(moment) == 3_600.0
    clocks[:] = [103.0, 10.0]
    assert age(moment) == 3.0


def test_an_address_that_is_none_is_named() -> None:
    for url in ("http://example.org", "redis://:sec/ret@example.org", "redis://:12/34@example.org"):
        with pytest.raises(SettingError, match="REDIS_URL") as wrong:
            RedisLog(url, 0.1)
        assert "sec" not in str(wrong.value) and "12" not in str(wrong.value)


def test_a_redis_that_is_not_there_is_unreachable_within_bounds() -> None:
    async def main() -> None:
        log = RedisLog("redis://:secret@127.0.0.1:1", 0.1)
        began = time.monotonic()
        with pytest.raises(Unreachable, match="127.0.0.1:1") as away:
            await log.read(NAME)
        assert time.monotonic() - began < 10 and "secret" not in str(away.value)
        await log.close()

    asyncio.run(main())


REDIS = os.environ.get("TEST_REDIS_URL")


@pytest.mark.skipif(not REDIS, reason="needs a Redis: TEST_REDIS_URL")
def test_the_scripts_keep_a_channel_in_redis() -> None:
    async def main() -> None:
        log = RedisLog(REDIS or "", 5)
        name = ChannelName(str(uuid.uuid4()), "count")
        assert await log.read(name) is None
        first = await opened(log, name)
        await first.add('{"value":"ä"}')
        second = await opened(log, name)
        with pytest.raises(StageError, match="another attempt"):
            await first.add("2")
        first.close()
        assert second.before == [{"value": "ä"}]
        await log._redis.delete(name.key, f"{name.key}:entries")
        await second.add('{"value":2}')
        await second.end({"as": "done", "outcome": {"output": {"items": ["ä", 2]}}})
        held = await log.open(name, "next", 60_000)
        assert held is not None
        assert [json.loads(entry.text) for entry in held.entries] == [{"value": "ä"}, {"value": 2}]
        assert (held.count, held.first, held.hash) == (2, 0, held.entries[1].after)
        assert json.loads(held.end or "")["as"] == "done"
        await log._redis.delete(name.key, f"{name.key}:entries")
        # Redis says when a run was erased.
        await asyncio.sleep(0.05)
        seconds, microseconds = await log._redis.time()
        await log._redis.set(name.erased, seconds * 1_000 + microseconds // 1_000, px=60_000)
        assert await log.open(name, "late", 60_000, 1_000.5) is None
        late = Write("late", 0, name.start, [], name.start, None, 60_000, 1_000.5)
        assert await log.restore(name, late) == "taken"
        assert await log.read(name) is None
        await asyncio.sleep(0.05)
        assert await log.open(name, "anew", 60_000, 1.5) is not None
        await log._redis.delete(name.key, name.erasable, name.erased)
        await log.close()

    asyncio.run(main())
