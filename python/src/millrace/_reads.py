"""What one attempt of a stage reads from streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from ._channel import ChannelLog, ChannelName
from ._held import EntryLimit, HeldSlot
from ._json import fields_of
from ._reader import LEFT, ChannelReader, Position, passed
from ._threads import in_loop
from .context import Context
from .errors import StageError
from .stream import Listed, Stream


class Read(BaseModel):
    """A channel that a call reads in place of a field of its input."""

    path: str
    """Path of the stage that writes it."""
    of: str
    """Which of its streams."""


class Reads:
    """The streams of one call: where each begins, how far it is, and what its entries are.

    `position_of`: behind what an attempt goes on in a field; None: from the first entry on.
    """

    def __init__(
        self,
        ctx: Context,
        entries: dict[str, TypeAdapter[Any]],
        reads: dict[str, Read],
        log: ChannelLog | None,
        *,
        held: HeldSlot,
        limit: EntryLimit,
    ) -> None:
        if reads and log is None:
            raise StageError("STREAM_LOST", "this worker has no channels")
        self.ctx = ctx
        self.held = held
        self.limit = limit
        self.position_of: Callable[[str], Position | None] = lambda field: None
        self.positions: dict[str, Position] = {}
        """What of each stream has been read, by field: in a list without a hash."""
        self.streams: dict[str, Stream[Any]] = {}
        """By field, for those that are read from channels."""
        self._log = log
        self._names: dict[str, ChannelName] = {}
        for field, read in reads.items():
            assert log is not None
            if field not in entries:
                message = f'the input of stage "{ctx.stage}": {field}: is no stream in this worker; update it'
                raise StageError("INVALID_INPUT", message)
            self._names[field] = ChannelName(ctx.run, read.path, read.of)
            stream: Stream[Any] = Stream()
            stream._source = _Channel(self, field, log, self._names[field], entries[field])
            self.streams[field] = stream

    def reads(self, field: str) -> bool:
        """Whether a field is read from a channel; otherwise the input has it as a list."""
        return field in self._names

    def track(self, field: str, stream: Stream[Any]) -> None:
        """Keeps how far a list is read."""
        if isinstance(stream._source, Listed):
            stream._source = _List(self, field, stream._source.entries)

    async def leave(self) -> None:
        """The function has ended: it may have left a stream before its end, and holds its producer back no longer."""
        for name in self._names.values():
            assert self._log is not None
            await passed(self._log, name, self.ctx.path, LEFT)


class _List:
    """The entries of a list, some of which may have been read in an earlier attempt."""

    def __init__(self, reads: Reads, field: str, entries: list[Any]) -> None:
        self._reads = reads
        self._field = field
        self._inner = Listed(entries)
        self._begun = False

    async def next(self) -> tuple[Any] | None:
        return self.next_here()

    def next_here(self) -> tuple[Any] | None:
        if not self._begun:
            self._begun = True
            after = self._reads.position_of(self._field)
            self._inner.at = after.number if after is not None else 0
        found = self._inner.next_here()
        if found is not None:
            self._reads.positions[self._field] = Position(self._inner.at)
        return found


class _Channel:
    """The entries of a channel, each validated."""

    def __init__(self, reads: Reads, field: str, log: ChannelLog, name: ChannelName, entry: TypeAdapter[Any]) -> None:
        self._reads = reads
        self._field = field
        self._log = log
        self._name = name
        self._entry = entry
        self._loop = asyncio.get_running_loop()
        self._reader: ChannelReader | None = None

    async def next(self) -> tuple[Any] | None:
        reads = self._reads
        reads.limit.rest()
        try:
            reader = self._opened()
            while True:
                waiting = reader.next()
                found = await (waiting if reader.ready else reads.held.without(waiting))
                if found is None:
                    return None
                number, value = found
                reads.positions[self._field] = reader.position
                listed = _listed(self._name.of, value, number)
                if listed is not None:
                    return (self._validated(listed[0]),)
        finally:
            reads.limit.work()

    def next_here(self) -> tuple[Any] | None:
        found: tuple[Any] | None = in_loop(self.next(), self._reads.ctx, self._loop)
        return found

    def _opened(self) -> ChannelReader:
        if self._reader is None:
            after = self._reads.position_of(self._field) or Position()
            # A voice waits for readers of its pieces that lag: they say more often how far they are.
            most = {"most": 8} if self._name.of == "chunks" else {}
            self._reader = ChannelReader(self._log, self._name, self._reads.ctx.path, after, **most)
        return self._reader

    def _validated(self, value: Any) -> Any:
        try:
            return self._entry.validate_python(value)
        except ValidationError as error:
            fields = fields_of(error, self._field)
            first = fields[0]
            message = f'the input of stage "{self._reads.ctx.stage}": {self._field}: {first["message"]}'
            raise StageError("INVALID_INPUT", message, fields=fields) from None


def _listed(of: str, value: Any, number: int) -> tuple[Any] | None:
    """An entry as the collected list has it; None for a sentence without words, which it lacks."""
    if of == "entries":
        return (value.get("value") if isinstance(value, dict) else None,)
    if of == "chunks":
        audio, text, at = (value.get(name) for name in ("audio", "text", "at"))
        return ({"audio": audio, "number": number, "text": text or "", "at": at or 0},)
    if of != "sentences":
        return (value,)
    sentence = str(value).strip()
    return None if sentence == "" else (sentence,)
