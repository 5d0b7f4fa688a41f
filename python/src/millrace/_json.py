"""What JSON, and so a run's history, can hold."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import ValidationError

from .errors import FieldError, StageError

MOST_BYTES = 1_500_000
"""Largest value as JSON: Temporal rejects payloads above 2 MiB, and there is more around a value."""


def check_json(value: Any, name: str, code: str = "INVALID_OUTPUT") -> bytes:
    """A value as JSON. Raises `code`, naming the part that JSON does not have."""
    wrong = _misfit(value, ())
    if wrong is not None:
        path, message = wrong
        field = ".".join(str(part) for part in path) or name
        raise StageError(code, f"{field} {message}", fields=[FieldError(field=field, message=message)])
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise StageError(code, f"{name} holds text that is not Unicode: {error.reason}") from error


def check_size(text: bytes, value: dict[str, Any], stage: str) -> None:
    """Raises `RESULT_TOO_LARGE`, naming the largest field, if a result does not fit into a run's history."""
    if len(text) <= MOST_BYTES:
        return
    sizes = {name: len(json.dumps(part).encode()) for name, part in value.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    message = f'has {len(text)} bytes as JSON, more than {MOST_BYTES}; "{largest}" has {sizes[largest]} of them'
    raise StageError(
        "RESULT_TOO_LARGE",
        f'the output of stage "{stage}" {message}; return less, or media by reference',
        fields=[FieldError(field=largest, message=message)],
    )


def fields_of(error: ValidationError, whole: str = "body") -> list[FieldError]:
    """What is wrong with a value, at most 20 fields. `whole`: the name of the value itself."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return [FieldError(field=".".join(map(str, each["loc"])) or whole, message=each["msg"]) for each in wrong[:20]]


def _misfit(value: Any, path: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], str] | None:
    if isinstance(value, float) and not math.isfinite(value):
        return path, f"is {value}, which is not a number in JSON; use None or omit it"
    if value is None or isinstance(value, (str, bool, int, float)):
        return None
    if len(path) > 500:
        return path[:3], "is nested more than 500 levels deep"
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                return path, f"has the key {key!r}; the keys of a JSON object are texts"
            if found := _misfit(part, (*path, key)):
                return found
        return None
    if isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            if found := _misfit(part, (*path, i)):
                return found
        return None
    return path, f"is a {type(value).__name__}, which JSON cannot represent; use plain values"
