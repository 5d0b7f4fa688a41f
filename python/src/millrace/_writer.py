"""The writer of a channel."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import replace
from typing import Any

from ._channel import ChannelLog, ChannelName, Entry, Held, Standing, Unreachable, Write
from ._held import HeldSlot
from ._moment import Moment, age, now
from .errors import StageError

_KEPT_MS = 3_600_000
"""How long a closed channel is kept at least; its run may read it for longer."""
_BEAT_S = 1.0
"""Interval in which an idle writer checks that the store still has its entries."""
_PAUSE_S = 0.1
"""Pause before a store that cannot be reached, or is full, is tried again."""
_AWAY_S = 2.0
"""How long a store is waited for before anything is yielded."""
_FULL_S = 30.0
"""How long a writer waits for readers that lag, or for a store without room."""


class ChannelWriter:
    """The only writer of a channel, as `ChannelWriter` in TypeScript.

    Entries are numbered and hashed as they are added. The store compares number and hash with its own, so an entry is
    committed once, also where a reply was lost. If the store has lost entries they are stored again: the hash shows
    whether what it still has is the beginning of them.
    """

    def __init__(self, log: ChannelLog, name: ChannelName, owner: str, ttl_ms: int, held: Held, begun: Moment) -> None:
        self._log = log
        self._name = name
        self._owner = owner
        self._ttl_ms = ttl_ms
        self._begun = begun
        self.first = held.first
        """Number of the first entry that the store still has: readers had passed those before."""
        self.start_hash = name.start
        """Hash of no entry."""
        self.first_hash = held.entries[0].before if held.entries else held.hash
        """Hash of the entries before `first`."""
        self._entries = list(held.entries)
        self._hash = held.hash
        self._stored = held.count
        self._end = held.end
        self._failure: StageError | None = None
        self._no_room_since: float | None = None
        """When the store said first that it has no room, by `time.monotonic`; None after another answer, or none."""
        self._lock = asyncio.Lock()
        self.before: list[Any] = [json.loads(entry.text) for entry in held.entries]
        """What earlier writers have committed, from entry `first` on."""
        self.before_end: Any = None if held.end is None else json.loads(held.end)
        """How an earlier writer has ended it; None while it is open."""
        self._beat = asyncio.create_task(self._beats()) if held.end is None else None

    @classmethod
    async def open(
        cls,
        log: ChannelLog,
        name: ChannelName,
        ttl_ms: int,
        *,
        patient: HeldSlot | None = None,
        begun: Moment | None = None,
    ) -> ChannelWriter:
        """A writer that takes the place of an earlier one.

        `patient`: that one may have committed entries, so a store that is away is waited for as long as the attempt
        lasts, without this slot of its call. Raises `Unreachable` if it cannot be reached for two seconds otherwise.
        `begun`: when the attempt began; now if it is not known. Raises `STREAM_TAKEN` if the run was erased since.
        """
        owner = str(uuid.uuid4())
        began = time.monotonic()
        since = now() if begun is None else begun

        async def opened() -> Held | None:
            return await log.open(name, owner, ttl_ms, age(since) * 1_000)

        async def reached() -> Held | None:
            while True:
                try:
                    return await opened()
                except Unreachable:
                    if patient is None and time.monotonic() - began > _AWAY_S:
                        raise
                    await asyncio.sleep(_PAUSE_S)

        if patient is None:
            held = await reached()
        else:
            try:
                held = await opened()
            except Unreachable:
                held = await patient.without(reached())
        if held is None:
            raise _taken(name)
        return cls(log, name, owner, ttl_ms, held, since)

    async def add(self, text: str) -> None:
        """Commits an entry. Raises `STREAM_TAKEN`, `STREAM_FULL` and `STREAM_LOST`. Waits for a store that is away."""
        entry = Entry(self._hash, text)
        self._entries.append(entry)
        self._hash = entry.after
        await self._write()

    def full_for(self) -> float:
        """For how many seconds the store has said that it has no room; 0 if it has room, or cannot be reached."""
        return 0.0 if self._no_room_since is None else time.monotonic() - self._no_room_since

    async def end(self, end: Any) -> None:
        """Commits the end."""
        self._end = json.dumps(end, ensure_ascii=False, separators=(",", ":"))
        await self._write()
        self.close()

    def close(self) -> None:
        """Writes nothing more."""
        if self._beat is not None:
            self._beat.cancel()

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            try:
                await self._write(beat=True)
            except StageError as error:
                self._failure = error
                return

    async def _write(self, beat: bool = False) -> None:
        async with self._lock:
            full_since: float | None = None
            self._no_room_since = None
            while True:
                if self._failure is not None:
                    raise self._failure
                try:
                    standing = await self._send()
                except Unreachable:
                    self._no_room_since = None
                    if beat:
                        return  # the next one tries again
                else:
                    if standing == "held":
                        self._no_room_since = None
                        return
                    if standing == "taken":
                        raise _taken(self._name)
                    at = time.monotonic()
                    full_since = at if full_since is None else full_since
                    self._no_room_since = at if self._no_room_since is None else self._no_room_since
                    if at - full_since > _FULL_S:
                        message = "has no room: its readers lag behind, or the state store is full"
                        raise StageError("STREAM_FULL", f"{_called(self._name)} {message}")
                await asyncio.sleep(_PAUSE_S)

    async def _send(self) -> Standing:
        # More may be added while it is sent.
        whole = Write(
            owner=self._owner,
            count=self.first,
            hash=self.first_hash,
            entries=list(self._entries),
            after=self._hash,
            end=self._end,
            ttl_ms=self._ttl_ms if self._end is None else max(self._ttl_ms, _KEPT_MS),
            age_ms=age(self._begun) * 1_000,
        )
        count = self._stored
        more = whole.entries[count - self.first :]
        standing = await self._log.append(
            self._name, replace(whole, count=count, hash=self._hash_at(count), entries=more)
        )
        if standing in ("gone", "differs"):
            standing = await self._restore(whole)
        if standing == "held":
            self._stored = count + len(more)
        return standing

    async def _restore(self, whole: Write) -> Standing:
        """The store has lost entries, or a reply was lost: all are stored again if it has the beginning of them."""
        held = await self._log.read(self._name)
        most = whole.count + len(whole.entries)
        if held is not None and (held.count > most or held.hash != self._hash_at(held.count)):
            raise _lost(self._name)
        done = await self._log.restore(self._name, whole)
        if done == "kept":
            raise _lost(self._name)
        return done

    def _hash_at(self, count: int) -> str:
        """Hash of the entries before number `count`."""
        at = count - self.first
        if at == len(self._entries):
            return self._hash
        if at == 0:
            return self.first_hash
        return self._entries[at].before if 0 < at < len(self._entries) else ""


def _called(name: ChannelName) -> str:
    return f'the stream entries of stage "{name.stage}"'


def _taken(name: ChannelName) -> StageError:
    message = "is written by another attempt, or its run was erased; this one ends"
    return StageError("STREAM_TAKEN", f"{_called(name)} {message}")


def _lost(name: ChannelName) -> StageError:
    message = "the state store has lost entries, which cannot be stored again"
    return StageError("STREAM_LOST", f"{_called(name)}: {message}")
