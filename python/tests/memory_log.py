"""Channels in memory, for tests: as the scripts keep them in Redis."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from millrace._channel import ChannelName, Entry, Held, Standing, Unreachable, Write


@dataclass
class Kept:
    owner: str
    hash: str
    first: int = 0
    entries: list[Entry] = field(default_factory=list)
    end: str | None = None

    @property
    def count(self) -> int:
        return self.first + len(self.entries)

    def held(self) -> Held:
        return Held(self.count, self.hash, self.first, list(self.entries), self.end)


class MemoryLog:
    """`away`: how many of the next calls fail. `lose_reply`: the next write is done, and its writer does not hear of it."""

    def __init__(self) -> None:
        self.channels: dict[ChannelName, Kept] = {}
        self.away = 0
        self.lose_reply = False
        self.full = False
        self.appends = 0
        self.erased: dict[str, float] = {}
        """When runs were erased, on the clock of `time.monotonic`."""
        self.needs: dict[tuple[ChannelName, str], int] = {}
        """The first entry that each reader still needs."""

    def _reached(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise Unreachable("away")

    def _is_erased(self, name: ChannelName, age_ms: float) -> bool:
        at = self.erased.get(name.run)
        return at is not None and time.monotonic() - age_ms / 1_000 <= at

    async def open(self, name: ChannelName, owner: str, ttl_ms: int, age_ms: float = 0) -> Held | None:
        self._reached()
        if self._is_erased(name, age_ms):
            return None
        kept = self.channels.setdefault(name, Kept(owner, name.start))
        kept.owner = owner
        return kept.held()

    async def append(self, name: ChannelName, write: Write) -> Standing:
        self._reached()
        self.appends += 1
        kept = self.channels.get(name)
        if kept is None:
            return "gone"
        if kept.owner != write.owner:
            return "taken"
        if (kept.count, kept.hash) != (write.count, write.hash):
            return "differs"
        if self.full and write.entries:
            return "full"
        kept.entries += write.entries
        kept.hash = write.after
        kept.end = write.end if kept.end is None else kept.end
        if self.lose_reply:
            self.lose_reply = False
            raise Unreachable("the reply is lost")
        return "held"

    async def restore(self, name: ChannelName, write: Write) -> Literal["held", "taken", "kept"]:
        self._reached()
        kept = self.channels.get(name)
        if self._is_erased(name, write.age_ms) or (kept is not None and kept.owner != write.owner):
            return "taken"
        self.channels[name] = Kept(write.owner, write.after, write.count, list(write.entries), write.end)
        return "held"

    async def read(self, name: ChannelName, first: int = 0, most: int = 1) -> Held | None:
        self._reached()
        kept = self.channels.get(name)
        if kept is None:
            return None
        at = max(first, kept.first)
        entries = kept.entries[at - kept.first : at - kept.first + most]
        return Held(kept.count, kept.hash, at, entries, kept.end)

    async def passed(self, name: ChannelName, reader: str, number: int) -> None:
        self._reached()
        self.needs[name, reader] = number

    def texts(self, name: ChannelName) -> list[str]:
        """What a reader finds. Raises if the hashes do not follow each other."""
        kept = self.channels[name]
        hash = name.start
        for entry in kept.entries:
            assert entry.before == hash
            hash = entry.after
        assert kept.hash == hash
        return [entry.text for entry in kept.entries]
