from __future__ import annotations

import asyncio
import functools
import json
import types
from enum import Enum
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

import millrace
from millrace import Audio, Context, SettingError, Stage


class Given(BaseModel):
    """What is given."""

    speech: Audio
    gain: float = Field(1.0, ge=0, le=10, description="How loud")


class Tone(Enum):
    HIGH = "high"
    LOW = "low"


class Made(BaseModel):
    speech: Audio | None = None
    tone: Tone | None = None
    kind: Literal["a", "b"] = "a"


def test_a_function_becomes_a_stage_and_stays_callable() -> None:
    @millrace.stage(name="loud-er", version="2")
    def louder(input: Given, ctx: Context) -> Made:
        """Makes it louder."""
        return Made(kind="b" if ctx.attempt == 1 else "a")

    assert (louder.name, louder.version, louder.description) == ("loud-er", "2", "Makes it louder.")
    assert louder(Given.model_construct()).kind == "b"
    assert louder(Given.model_construct(), Context(attempt=2)).kind == "a"


def test_without_context_and_async() -> None:
    @millrace.stage
    async def quick(input: Given) -> Made:
        return Made()

    assert quick.name == "quick" and quick.is_async and not quick.takes_context
    assert asyncio.run(quick(Given.model_construct())) == Made()


def test_a_partial_function_has_the_name_and_the_types_of_what_it_is_made_of() -> None:
    def amplified(input: Given, ctx: Context, factor: int) -> Made:
        """Amplifies."""
        return Made(kind="b" if factor == 3 else "a")

    async def slow(input: Given, factor: int) -> Made:
        return Made()

    by_name = millrace.stage(functools.partial(amplified, factor=3))
    assert (by_name.name, by_name.description, by_name.takes_context) == ("amplified", "Amplifies.", True)
    assert by_name(Given.model_construct()).kind == "b"
    later = millrace.stage(name="later")(functools.partial(slow, factor=2))
    assert (later.name, later.is_async, later.takes_context) == ("later", True, False)


def test_an_object_that_can_be_called_needs_a_name() -> None:
    class Loud:
        """Makes it loud."""

        async def __call__(self, input: Given) -> Made:
            return Made()

    loud = millrace.stage(name="loud")(Loud())
    assert (loud.name, loud.description, loud.is_async) == ("loud", "Makes it loud.", True)
    with pytest.raises(SettingError, match=r"has no name of its own: give it one, stage\(name="):
        millrace.stage(Loud())


def none() -> Made: ...
def untyped(input) -> Made: ...  # type: ignore[no-untyped-def]
def number(input: int) -> Made: ...  # type: ignore[empty-body]
def result(input: Given) -> dict[str, Any]: ...  # type: ignore[empty-body]
def silent(input: Given): ...  # type: ignore[no-untyped-def]
def three(input: Given, ctx: Context, more: int) -> Made: ...  # type: ignore[empty-body]
def keyword(*, input: Given) -> Made: ...  # type: ignore[empty-body]
def other(input: Given, ctx: int) -> Made: ...  # type: ignore[empty-body]
def unknown(input: Gone) -> Made: ...  # type: ignore[name-defined,empty-body]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (none, r'stage "none": it must take its input'),
        (untyped, "type of its first parameter is missing"),
        (number, "type of its first parameter is int"),
        (result, "the type of its result is dict"),
        (silent, "the type of its result is missing"),
        (three, r"it must take its input, and the context if it wants it: \(input, ctx\)"),
        (keyword, "it must take its input"),
        (other, "second parameter must be a millrace.Context"),
        (unknown, "'Gone' is not defined"),
    ],
)
def test_functions_that_cannot_be_stages(function: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        millrace.stage(function)


@pytest.mark.parametrize("options", [{"name": "1st"}, {"name": "a b"}, {"name": ""}, {"version": "-"}, {"name": "a" * 64}])
def test_names_that_cannot_be_used(options: dict[str, str]) -> None:
    def fine(input: Given) -> Made: ...  # type: ignore[empty-body]

    with pytest.raises(SettingError, match="letters, digits"):
        millrace.stage(**options)(fine)
    with pytest.raises(SettingError, match='must be a time such as 30s or 2m, not "30"'):
        millrace.stage(heartbeat="30")(fine)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compatible": ["1"]}, "compatible needs a version of its own"),
        ({"version": "2", "compatible": "1"}, "compatible must be a list of versions"),
        ({"version": "2", "compatible": ["a@b"]}, "'a@b' has not"),
        ({"version": "2", "compatible": [1]}, "1 has not"),
    ],
)
def test_versions_that_cannot_be_compatible(options: dict[str, Any], said: str) -> None:
    def fine(input: Given) -> Made: ...  # type: ignore[empty-body]

    with pytest.raises(SettingError, match=said):
        millrace.stage(**options)(fine)


def module_of(*stages: Stage[Any, Any]) -> types.ModuleType:
    module = types.ModuleType("audio")
    vars(module).update({f"stage_{i}": stage for i, stage in enumerate(stages)}, other=1)
    return module


def test_the_stages_of_a_module() -> None:
    def b(input: Given) -> Made: ...  # type: ignore[empty-body]
    def a(input: Given) -> Made: ...  # type: ignore[empty-body]

    first, second = millrace.stage(b), millrace.stage(a)
    assert millrace.stages_of(module_of(first, second, first)) == [second, first]
    with pytest.raises(SettingError, match='audio has two stages named "a"'):
        millrace.stages_of(module_of(second, millrace.stage(name="a")(b)))
    with pytest.raises(SettingError, match="audio has no stage"):
        millrace.stages_of(module_of())


def test_the_manifest() -> None:
    @millrace.stage(version="1", heartbeat="30s")
    def louder(input: Given) -> Made:
        """Makes it louder."""
        return Made()

    made = millrace.manifest([louder], "gpu")
    [entry] = made["stages"]
    assert {**made, "stages": []} == {"protocol": 1, "queue": "gpu", "stages": []}
    assert {key: entry[key] for key in ("type", "version", "queue", "heartbeat", "description")} == {
        "type": "louder",
        "version": "1",
        "queue": "gpu.louder@1",
        "heartbeat": "30s",
        "description": "Makes it louder.",
    }
    assert entry["input"]["$defs"]["Audio"] == {"media": "audio", "description": "Audio by reference"}
    assert entry["input"]["required"] == ["speech"]
    # What is returned always has every field.
    assert entry["output"]["required"] == ["speech", "tone", "kind"]


def test_a_type_without_a_schema_names_the_stage() -> None:
    class Odd(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        stage: Stage  # type: ignore[type-arg]

    globals()["Odd"] = Odd

    def odd(input: Odd) -> Made: ...  # type: ignore[empty-body]

    with pytest.raises(SettingError, match='stage "odd": '):
        millrace.manifest([millrace.stage(odd)], "python")


def test_the_context_keeps_a_copy_of_what_is_saved() -> None:
    ctx = Context(progress={"done": 1})
    assert ctx.progress == {"done": 1}
    value = {"done": [1]}
    ctx.save(value)
    value["done"].append(2)
    assert ctx.progress == {"done": [1]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, float("nan")]}, "a.1 is nan"),
        ({"a": {1, 2}}, "a is a set"),
        ({1: 2}, "progress has the key 1"),
        ("x" * 300_000, "more than 262144"),
        ("\ud800", "not Unicode"),
    ],
)
def test_progress_that_is_not_json_or_too_large(value: Any, message: str) -> None:
    ctx = Context(progress=1)
    with pytest.raises(millrace.StageError, match=message):
        ctx.save(value)
    assert ctx.progress == 1


def test_usage_adds_up() -> None:
    ctx = Context()
    ctx.usage(input_tokens=3)
    ctx.usage(input_tokens=2, output_tokens=1)
    assert ctx._usage == {"inputTokens": 5, "outputTokens": 1}
    with pytest.raises(ValueError, match="negative"):
        ctx.usage(input_tokens=1, output_tokens=-1)
    assert ctx._usage == {"inputTokens": 5, "outputTokens": 1}


def test_usage_takes_whole_numbers_of_any_type() -> None:
    ctx = Context()
    ctx.usage(input_tokens=np.array([True, True, False]).sum(), output_tokens=4.0)
    assert json.dumps(ctx._usage) == '{"inputTokens": 2, "outputTokens": 4}'
    for tokens in (0.5, float("nan"), "3", None):
        with pytest.raises(ValueError, match="is not a whole number"):
            ctx.usage(input_tokens=tokens)  # type: ignore[arg-type]


def test_a_context_without_a_store_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"pass artifacts=Artifacts\(ArtifactStore\(folder\)\)"):
        Context().artifacts  # noqa: B018
