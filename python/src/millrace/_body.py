"""The body of a start: JSON, or a form if the input has files."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .artifact import Artifact

_CHUNK_BYTES = 1 << 16
_INPUT_TYPE = "application/vnd.millrace.input+json"
"""Type of the part `input` with what is not in parts of its own: a pipeline may have a field of that name."""


@dataclass(frozen=True)
class Body:
    """A request's body and its headers; `data` makes the body anew for each try."""

    headers: Mapping[str, str]
    data: Callable[[], bytes | Iterator[bytes]]


def body_of(input: Mapping[str, Any]) -> Body:
    """The body of an input; files are sent as they are read."""
    if not _has_file(input):
        data = json.dumps(input, default=_plain, allow_nan=False).encode()
        return Body({"Content-Type": "application/json"}, lambda: data)
    separated = _Separated(input)
    parts: list[tuple[str, bytes | Path | str]] = [*separated.files]
    if separated.values:
        parts.append(("input", json.dumps(separated.values, default=_plain, allow_nan=False)))
    boundary = uuid.uuid4().hex
    heads = [_head(boundary, name, value) for name, value in parts]
    end = f"--{boundary}--\r\n".encode()
    length = sum(len(head) + _size(value) + 2 for head, (_, value) in zip(heads, parts, strict=True)) + len(end)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(length)}

    def form() -> Iterator[bytes]:
        for head, (_, value) in zip(heads, parts, strict=True):
            yield head
            yield from _bytes(value)
            yield b"\r\n"
        yield end

    return Body(headers, form)


class _Separated:
    """The files of an input by their paths, and what remains of its fields."""

    def __init__(self, input: Mapping[str, Any]) -> None:
        self.files: list[tuple[str, bytes | Path]] = []
        self.values: dict[str, Any] = {}
        for name, value in input.items():
            self._add(name, value)

    def _add(self, path: str, value: Any) -> None:
        if _is_file(value):
            self.files.append((path, value))
        else:
            self.values[path] = self._without_files(path, value)

    def _without_files(self, path: str, value: Any) -> Any:
        if not _has_file(value):
            return value
        if isinstance(value, Mapping):
            self.files += [(f"{path}.{key}", each) for key, each in value.items() if _is_file(each)]
            others = [(key, each) for key, each in value.items() if not _is_file(each)]
            return {key: self._without_files(f"{path}.{key}", each) for key, each in others}
        if not any(map(_is_file, value)):
            return [self._without_files(f"{path}.{i}", item) for i, item in enumerate(value)]
        # A list in JSON has no gaps: the items beside its files have paths too.
        for i, item in enumerate(value):
            self._add(f"{path}.{i}", item)
        return []


def _is_file(value: Any) -> bool:
    return isinstance(value, (bytes, Path))


def _has_file(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_file, value.values()))
    return _is_file(value) or (isinstance(value, (list, tuple)) and any(map(_has_file, value)))


def _head(boundary: str, path: str, value: bytes | Path | str) -> bytes:
    name = _quoted(path)
    file = _quoted(value.name if isinstance(value, Path) else path)
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{file}"'
    kind = _INPUT_TYPE if isinstance(value, str) else "application/octet-stream"
    return f"--{boundary}\r\n{disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _size(value: bytes | Path | str) -> int:
    return os.path.getsize(value) if isinstance(value, Path) else len(value.encode() if isinstance(value, str) else value)


def _bytes(value: bytes | Path | str) -> Iterator[bytes]:
    if isinstance(value, Path):
        with value.open("rb") as file:
            while piece := file.read(_CHUNK_BYTES):
                yield piece
    else:
        yield value.encode() if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Artifact):
        return {"uri": value.uri}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"the input holds a {type(value).__name__}, which JSON cannot represent")
