"""The manifest of stages: what `millrace types` turns into TypeScript."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from .errors import SettingError
from .stage import Stage

PROTOCOL = 1
"""Version of what a run and a Python stage say to each other."""


def manifest(stages: Iterable[Stage[Any, Any]], queue: str) -> dict[str, Any]:
    """Queue, names and JSON Schemas of stages, as JSON. Raises `SettingError` for a type without a JSON Schema."""
    return {"protocol": PROTOCOL, "queue": queue, "stages": [_entry(stage, queue) for stage in stages]}


def queue_of(queue: str, stage: str, version: str) -> str:
    """Task queue of one version of a stage, such as `python.embed@2`."""
    return f"{queue}.{stage}@{version}"


def _entry(stage: Stage[Any, Any], queue: str) -> dict[str, Any]:
    version = stage.version
    try:
        return {
            "type": stage.name,
            **({} if version is None else {"version": version, "queue": queue_of(queue, stage.name, version)}),
            **({} if stage.heartbeat is None else {"heartbeat": stage.heartbeat}),
            **({"description": stage.description} if stage.description else {}),
            "input": stage.input.model_json_schema(mode="validation"),
            **_made(stage),
        }
    except PydanticInvalidForJsonSchema as error:
        raise SettingError(f'stage "{stage.name}": {error.message}') from error


def _made(stage: Stage[Any, Any]) -> dict[str, Any]:
    """The schema of its output, or of what it yields."""
    if stage.entry is not None:
        return {"entry": stage.entry.json_schema(mode="serialization", schema_generator=_Sent)}
    return {"output": stage.output.model_json_schema(mode="serialization", schema_generator=_Sent)}


class _Sent(GenerateJsonSchema):
    """The schema of what is sent: fields with a default are always there."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        return not field.get("serialization_exclude")
