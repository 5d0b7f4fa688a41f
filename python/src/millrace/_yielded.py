"""What a stage yields."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from ._channel import Entry
from ._json import MOST_BYTES, check_json, fields_of
from ._reader import Position
from ._reads import Reads
from ._writer import ChannelWriter
from .context import Resume
from .errors import StageError

_KEEPS_SLOT_S = 1.0
"""How long a function keeps its slot while the store has no room for an entry: a reader that lags may need it."""


class Repeated(Exception):
    """Another attempt has yielded something else than what is committed."""


class Yielded:
    """What one attempt of a stage yields, entry by entry: checked, compared with what is committed, and committed.

    Without a writer nobody reads it while it is made. As `CodeStreams` in TypeScript: a function that asks for
    `resume_from` goes on behind what is committed; one that does not begins anew, and what it repeats is dropped. Above
    2 MiB the store drops entries that readers have passed: they are part of the result, so the function begins anew, and
    what it repeats of them is compared by its hash.
    """

    def __init__(self, entry: TypeAdapter[Any], stage: str, writer: ChannelWriter | None, reads: Reads) -> None:
        self._entry = entry
        self._stage = stage
        self._writer = writer
        self._reads = reads
        last = writer.before[-1] if writer is not None and writer.before else {}
        self._last_read: dict[str, Position] = {
            field: Position(read["number"], read.get("hash")) for field, read in last.get("read", {}).items()
        }
        """What had been read of each stream when the last of them was yielded."""
        self.committed: list[Any] = [] if writer is None else [each["value"] for each in writer.before]
        """What earlier attempts have committed, as far as the store still has it."""
        self.dropped = 0 if writer is None else writer.first
        """Number of the entries before, which it has dropped."""
        self._hash = "" if writer is None else writer.start_hash
        self._items = [] if self.dropped else list(self.committed)
        self._bytes = sum(len(_text(value)) + 1 for value in self._items)
        self._count = 0
        """Entries of this attempt, and those behind which it began."""
        self._goes_on: bool | None = None

    def resume_from(self) -> Resume | None:
        """What is committed; None if nothing is, the function has begun anew, or the store has dropped entries."""
        if self.dropped:
            return None
        if self._goes_on is None:
            # A position in a channel says nothing of a list, nor the other way round.
            reads = self._last_read.items()
            self._goes_on = all(self._reads.reads(field) == (after.hash is not None) for field, after in reads)
        if not self.committed or not self._goes_on:
            return None
        self._count = max(self._count, len(self.committed))
        return Resume(count=len(self.committed), last=self.committed[-1])

    def position_of(self, field: str) -> Position | None:
        """Where it reads on in a stream: behind what it had read for the last committed entry, if it goes on."""
        if self._goes_on is None:
            self._goes_on = False
        return self._last_read.get(field) if self._goes_on else None

    async def add(self, value: Any) -> None:
        """Returns when the entry is committed. Raises what ends the stream, `INVALID_OUTPUT` and `RESULT_TOO_LARGE`."""
        if self._goes_on is None:
            self._goes_on = False
        made, text = self._checked(value)
        entry = f'{{"value":{text.decode()}{self._read_text()}}}'
        if self._again(made, entry):
            if self.dropped:
                self._items.append(made)
                self._bytes += len(text) + 1
            return
        self._bytes += len(text) + 1
        if self._bytes > MOST_BYTES:
            raise StageError(
                "RESULT_TOO_LARGE",
                f'what stage "{self._stage}" yields takes more than {MOST_BYTES} bytes together; '
                "yield less, or media by reference",
            )
        self._count += 1
        self._items.append(made)
        if self._writer is not None:
            self._reads.limit.rest()
            try:
                await self._commit(self._writer, entry)
            finally:
                self._reads.limit.work()

    async def _commit(self, writer: ChannelWriter, entry: str) -> None:
        """Waits for the commit of an entry: without the slot after `_KEEPS_SLOT_S` in which the store has no room."""
        task = asyncio.create_task(writer.add(entry))
        try:
            while not task.done():
                if (left := _KEEPS_SLOT_S - writer.full_for()) <= 0:
                    await self._reads.held.without(_end_of(task))
                    return
                await asyncio.wait([task], timeout=left)
            task.result()
        except asyncio.CancelledError:
            task.cancel()
            raise

    def _read_text(self) -> str:
        """What of the streams that it reads had been read, as part of an entry; empty if it reads none."""
        positions = self._reads.positions
        if not positions:
            return ""
        read = {
            field: {"number": at.number, **({} if at.hash is None else {"hash": at.hash})}
            for field, at in positions.items()
        }
        return f',"read":{_text(read).decode()}'

    def _again(self, made: Any, entry: str) -> bool:
        """Whether an entry is committed already. Raises `Repeated` if another one is in its place."""
        at = self._count - self.dropped
        if at >= len(self.committed):
            return False
        if at >= 0:
            if _canonical(made) != _canonical(self.committed[at]):
                raise Repeated
        else:
            self._hash = Entry(self._hash, entry).after
            if at == -1 and self._writer is not None and self._hash != self._writer.first_hash:
                raise Repeated
        self._count += 1
        return True

    def finish(self) -> list[Any]:
        """All entries, when the function has ended. Raises `Repeated` if it has yielded less than what is committed."""
        if self._count < self.dropped + len(self.committed):
            raise Repeated
        return self._items

    def cut(self) -> StageError:
        """The failure of a function that yields something else than what is committed."""
        return StageError(
            "STREAM_CUT",
            f"the function broke off after {self.dropped + len(self.committed)} entries that have been read, and another "
            "attempt yielded something else; go on from ctx.resume_from, or yield the same again",
        )

    def _checked(self, value: Any) -> tuple[Any, bytes]:
        try:
            made = self._entry.dump_python(
                self._entry.validate_python(value), mode="json", by_alias=True, warnings="error"
            )
        except ValidationError as error:
            fields = fields_of(error, "entry")
            first = fields[0]
            message = f'an entry of stage "{self._stage}": {first["field"]}: {first["message"]}'
            raise StageError("INVALID_OUTPUT", message, fields=fields) from None
        except PydanticSerializationError as error:
            raise StageError("INVALID_OUTPUT", f'an entry of stage "{self._stage}": {error}') from None
        return made, check_json(made, "entry")


async def _end_of(task: asyncio.Task[None]) -> None:
    await task


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
