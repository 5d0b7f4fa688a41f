"""Channels: append-only logs of what stages yield, in the state store of the deployment.

TypeScript workers read them (`stores/channels`). The scripts in `_lua` are made from theirs, and a test compares both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from .errors import SettingError

Standing = Literal["held", "taken", "full", "gone", "differs"]
"""Reply to a write. `taken`: another writer has opened the channel since. `full`: its readers lag too far behind.
`gone`: the store has lost the channel. `differs`: it has another number of entries or another hash than the writer
assumes."""

MOST_BYTES = 2_097_152
"""Most bytes of entries that a channel holds."""


@dataclass(frozen=True)
class ChannelName:
    """One output of one stage of one run."""

    run: str
    path: str
    """Path of the stage in the run, with the tag of the run if it has one: `chunks[3]/lines`, `lines@1f0c4d2e`."""
    of: str = "entries"
    """Which of its outputs: `entries`, `sentences`, `tokens`, `chunks`."""

    @property
    def key(self) -> str:
        """Key of its state, under which changes are published too. All keys of a run are in one slot."""
        return f"millrace:channel:{{{self.run}}}:{self.path}:{self.of}"

    @property
    def stage(self) -> str:
        """Path of the stage, without what tells its run from others with the same id."""
        return self.path.split("@")[0]

    @property
    def erasable(self) -> str:
        """Key of the set of what is erased with the run."""
        return f"millrace:{{{self.run}}}:erasable"

    @property
    def erased(self) -> str:
        """Key of when the run was erased."""
        return f"millrace:{{{self.run}}}:erased"

    @property
    def start(self) -> str:
        """Hash of no entry."""
        return _digest(f"{self.run}\n{self.path}\n{self.of}")


@dataclass(frozen=True)
class Entry:
    """An entry as stored: the hash of everything before it, and its value as JSON."""

    before: str
    text: str

    @property
    def after(self) -> str:
        """Hash of all entries up to and including this one."""
        return _digest(f"{self.before}\n{self.text}")


@dataclass(frozen=True)
class Held:
    """What the store has of a channel."""

    count: int
    """Number of entries committed so far."""
    hash: str
    """Hash of all of them."""
    first: int
    """Number of the first entry in `entries`: the store has dropped those before."""
    entries: list[Entry]
    end: str | None
    """JSON of its end; None while the channel is open."""


@dataclass(frozen=True)
class Write:
    """What a writer adds to a channel, or stores again."""

    owner: str
    count: int
    """Number of the first entry."""
    hash: str
    """Hash of the entries before."""
    entries: list[Entry]
    after: str
    """Hash after the entries."""
    end: str | None
    ttl_ms: int
    age_ms: float = 0
    """How long ago the attempt began. Nothing is stored again of a run that was erased meanwhile."""


class Unreachable(Exception):
    """The store cannot be reached, or takes no writes."""


class ChannelLog(Protocol):
    """Where channels are kept. All operations are atomic, and raise `Unreachable`."""

    async def open(self, name: ChannelName, owner: str, ttl_ms: int, age_ms: float = 0) -> Held | None:
        """Makes `owner` the only writer, and returns what is committed. An absent channel is created, empty.

        `age_ms`: how long ago the attempt began. None, and no channel, if the run was erased meanwhile.
        """

    async def append(self, name: ChannelName, write: Write) -> Standing:
        """Adds entries if the channel is as the writer assumes."""

    async def restore(self, name: ChannelName, write: Write) -> Literal["held", "taken", "kept"]:
        """Replaces what the store has, unless another writer has the channel, or the run was erased."""

    async def read(self, name: ChannelName, first: int = 0, most: int = 1) -> Held | None:
        """At most `most` entries from number `first` on; None if there is no channel."""

    async def passed(self, name: ChannelName, reader: str, number: int) -> None:
        """A reader has no more need of entries below `number`."""


class RedisLog:
    """Channels in Redis. `timeout_s`: of one command. Raises `SettingError` without the package `redis`."""

    def __init__(self, url: str, timeout_s: float) -> None:
        try:
            from redis import RedisError
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise SettingError("stages that yield, or read streams, need the package redis: install millrace with the extra `streams`, or pip install redis") from error
        self._errors: tuple[type[BaseException], ...] = (RedisError, OSError)
        try:
            where = urlsplit(url)
            if where.hostname is None:
                raise ValueError("no host")
            self._address = f"{where.hostname}:{where.port or 6379}"
            self._redis: Any = Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=timeout_s,
                # A TLS handshake takes several round trips, a command one.
                socket_connect_timeout=max(4 * timeout_s, 1.0),
                # The writer tries again itself.
                retry=Retry(NoBackoff(), 0),
                client_name="millrace",
            )
        except ValueError:
            # Without the client's message: of a password with a slash it shows a part.
            raise SettingError(
                "REDIS_URL must be redis://user:password@host:port/database, or rediss://… for TLS; in user and "
                "password % / ? # are written as %25 %2F %3F %23"
            ) from None
        folder = Path(__file__).parent / "_lua"
        self._scripts = {
            file.stem: self._redis.register_script(file.read_text(encoding="utf-8")) for file in folder.glob("*.lua")
        }

    async def open(self, name: ChannelName, owner: str, ttl_ms: int, age_ms: float = 0) -> Held | None:
        reply = await self._run("open", name, owner, ttl_ms, name.start, 0, age_ms)
        return None if reply is None else _held(reply)

    async def append(self, name: ChannelName, write: Write) -> Standing:
        total = write.count + len(write.entries)
        numbers = (write.count, write.hash, total, write.after, write.ttl_ms, MOST_BYTES)
        standing: Standing = await self._run(
            "append", name, write.owner, *numbers, write.end or "", name.key, *_stored(write)
        )
        return standing

    async def restore(self, name: ChannelName, write: Write) -> Literal["held", "taken", "kept"]:
        total = write.count + len(write.entries)
        numbers = (write.count, total, write.after, write.ttl_ms)
        done: Literal["held", "taken", "kept"] = await self._run(
            "restore", name, write.owner, *numbers, write.end or "", name.key, write.age_ms, *_stored(write)
        )
        return done

    async def read(self, name: ChannelName, first: int = 0, most: int = 1) -> Held | None:
        reply = await self._run("read", name, first, most)
        return None if reply is None else _held(reply)

    async def passed(self, name: ChannelName, reader: str, number: int) -> None:
        await self._run("passed", name, reader, number)

    async def close(self) -> None:
        """Closes its connections."""
        await self._redis.aclose()

    async def _run(self, script: str, name: ChannelName, *arguments: str | float) -> Any:
        keys = [name.key, f"{name.key}:entries"]
        if script in ("append", "open", "restore"):
            keys.append(name.erasable)
        if script in ("open", "restore"):
            keys.append(name.erased)
        try:
            return await self._scripts[script](keys=keys, args=arguments)
        except self._errors as error:
            if "read only" in str(error) or "READONLY" in str(error):
                # Another server has become the primary: the address leads to it, open connections do not.
                await self._redis.connection_pool.disconnect()
            raise Unreachable(f"{self._address}: {error}") from error


def _stored(write: Write) -> list[str]:
    return [entry.before + entry.text for entry in write.entries]


def _held(reply: Any) -> Held:
    count, hash, first, end, entries = reply
    return Held(int(count), hash, int(first), [Entry(each[:32], each[32:]) for each in entries], end or None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
