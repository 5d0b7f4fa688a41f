"""The reader of a channel."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from ._channel import ChannelLog, ChannelName, Entry, Unreachable
from .errors import StageError

_AWAY_S = 60.0
"""How long a store that cannot be reached is waited for, if the channel was there."""
_GONE_S = 15.0
"""How long the channel, or entries of it, may be missing: a live writer stores them again within a second."""
_GIVEN_UP_S = 1.0
"""A producer that was about to begin may have given up a store that was away for so long."""
_LEAST_PAUSE_S, _MOST_PAUSE_S = 0.05, 0.4
"""Between two looks at the store."""
_MOST_AT_ONCE = 64
"""Entries that are read at once."""

LEFT = 9_007_199_254_740_991
"""What a reader says to have passed that reads no further."""


@dataclass(frozen=True)
class Position:
    """Behind which entry a reader goes on."""

    number: int = 0
    """Number of the next entry."""
    hash: str | None = None
    """Hash of the entries before it; None at the beginning."""


class ChannelReader:
    """The entries of a channel in order, as `readChannel` in TypeScript.

    `reader`: name under which it says how far it is: what it has not passed is not dropped.
    """

    def __init__(
        self, log: ChannelLog, name: ChannelName, reader: str, after: Position, most: int = _MOST_AT_ONCE
    ) -> None:
        self._log = log
        self._name = name
        self._reader = reader
        self._number = after.number
        self._hash = name.start if after.hash is None else after.hash
        self._most = most
        self._ready: deque[Entry] = deque()
        self._ended = False
        self._passed: int | None = None
        self._missing = _Missing(name, seen=after.number > 0)

    @property
    def ready(self) -> bool:
        """Whether the next entry, or the end, is there without waiting."""
        return self._ended or len(self._ready) > 0

    @property
    def position(self) -> Position:
        """Behind the entry that was read last."""
        return Position(self._number, self._hash)

    async def next(self) -> tuple[int, Any] | None:
        """Number and value of the next entry, when it is committed; None at the end. Raises `STREAM_LOST`."""
        pause = _LEAST_PAUSE_S
        while not self.ready:
            await self._look()
            if self.ready:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MOST_PAUSE_S)
        if not self._ready:
            return None
        entry = self._ready.popleft()
        if entry.before != self._hash:
            raise _lost(self._name)
        self._hash = entry.after
        self._number += 1
        return self._number - 1, json.loads(entry.text)

    async def _look(self) -> None:
        try:
            held = await self._log.read(self._name, self._number, self._most)
        except Unreachable:
            self._missing.store()
            return
        if held is not None and held.end is not None and json.loads(held.end)["as"] == "void":
            raise _lost(self._name)
        if held is None or held.count < self._number:
            self._missing.entries()
            return
        self._missing.none()
        if held.first > self._number:
            raise _lost(self._name)
        # Also before its first entry: its producer then knows of it while it still has that.
        if self._passed != self._number:
            self._passed = self._number
            await passed(self._log, self._name, self._reader, self._number)
        self._ready.extend(held.entries)
        if self._number == held.count:
            if held.hash != self._hash:
                raise _lost(self._name)
            self._ended = held.end is not None


async def passed(log: ChannelLog, name: ChannelName, reader: str, number: int) -> None:
    """Says that a reader no longer needs the entries below `number`. A store that is away does not hear it."""
    try:
        await log.passed(name, reader, number)
    except Unreachable:
        pass


class _Missing:
    """For how long the store, or entries, have been missing. Raises `STREAM_LOST` when it was long enough."""

    def __init__(self, name: ChannelName, seen: bool) -> None:
        self._name = name
        self._seen = seen
        self._away: float | None = None
        self._gone: float | None = None
        self._given_up = False

    def store(self) -> None:
        self._gone = None
        now = time.monotonic()
        self._away = now if self._away is None else self._away
        self._given_up = self._given_up or now - self._away >= _GIVEN_UP_S
        if now - self._away > (_AWAY_S if self._seen else _GONE_S):
            raise _lost(self._name)

    def entries(self) -> None:
        self._away = None
        now = time.monotonic()
        self._gone = now if self._gone is None else self._gone
        if (self._seen or self._given_up) and now - self._gone > _GONE_S:
            raise _lost(self._name)

    def none(self) -> None:
        self._away = self._gone = None
        self._seen = True


def _lost(name: ChannelName) -> StageError:
    message = "the state store has lost entries, or their producer has given them up"
    return StageError("STREAM_LOST", f'the stream {name.of} of stage "{name.stage}": {message}')
