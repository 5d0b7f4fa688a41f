"""Streams that a stage reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


class Source(Protocol):
    """Where the entries of a stream come from. Both return None at its end, else the entry in a tuple."""

    async def next(self) -> tuple[Any] | None: ...
    def next_here(self) -> tuple[Any] | None:
        """For a function in a thread: waits in it."""


class Listed:
    """The entries of a list."""

    def __init__(self, entries: list[Any]) -> None:
        self.entries = entries
        self.at = 0

    async def next(self) -> tuple[Any] | None:
        return self.next_here()

    def next_here(self) -> tuple[Any] | None:
        if self.at >= len(self.entries):
            return None
        self.at += 1
        return (self.entries[self.at - 1],)


class Stream(Generic[T]):
    """A field of a stage's input that is read entry by entry, each as soon as another stage has committed it.

    Declare the field as `Stream[T]`, where `T` is any type that pydantic knows; in TypeScript it is `streamOf(T)`. Read it
    once, from its first entry on: `async for` in an `async` function, `for` in any other. Each entry is validated
    (`INVALID_INPUT`). The iteration ends with the stream, and raises `StageError` otherwise: `STREAM_LOST` if the state
    store has lost entries, after which the stage runs again with the list of all of them. If the producer fails, the run
    ends, and the call is cancelled. A test may pass a list.
    """

    def __init__(self, entries: Iterable[T] = ()) -> None:
        self._source: Source = Listed(list(entries))
        self._begun = False

    async def __aiter__(self) -> AsyncIterator[T]:
        self._begin()
        while (found := await self._source.next()) is not None:
            yield found[0]

    def __iter__(self) -> Iterator[T]:
        self._begin()
        while (found := self._source.next_here()) is not None:
            yield found[0]

    def _begin(self) -> None:
        if self._begun:
            raise RuntimeError("a stream can be read once")
        self._begun = True

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        arguments = get_args(source)
        item = handler.generate_schema(arguments[0]) if arguments else core_schema.any_schema()
        return core_schema.no_info_wrap_validator_function(cls._validated, core_schema.list_schema(item))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "stream": True}

    @staticmethod
    def _validated(value: Any, inner: ValidatorFunctionWrapHandler) -> Stream[Any]:
        return value if isinstance(value, Stream) else Stream(inner(value))
