"""Server-sent events, as defined by WHATWG HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """A server-sent event; `id` is the last one received, possibly that of an earlier event."""

    id: str
    type: str
    data: str


def server_events(lines: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events of a response, whose lines end with LF or CR LF; an event cut off at the end is dropped."""
    last, kind, data = "", "", list[str]()
    for raw in lines:
        if not raw.endswith(b"\n"):
            return
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield ServerEvent(last, kind or "message", "\n".join(data))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last = value
