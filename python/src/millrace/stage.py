"""The decorator that turns a function into a stage."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from types import ModuleType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, get_args, get_origin, overload

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, RootModel, TypeAdapter

from .context import Context
from .errors import SettingError
from .stream import Stream

I = TypeVar("I", bound=BaseModel)  # noqa: E741
O = TypeVar("O", bound=BaseModel)  # noqa: E741

Function = (
    Callable[[I], O] | Callable[[I, Context], O] | Callable[[I], Awaitable[O]] | Callable[[I, Context], Awaitable[O]]
)
"""A stage's function: it takes a pydantic model, and the context if it wants it, and returns a pydantic model."""

T = TypeVar("T")
Yielding = (
    Callable[[I], AsyncIterator[T]]
    | Callable[[I, Context], AsyncIterator[T]]
    | Callable[[I], Iterator[T]]
    | Callable[[I, Context], Iterator[T]]
)
"""A function that yields: each entry can be read by other stages while it goes on."""

_ASYNC: tuple[Any, ...] = (AsyncIterator, AsyncGenerator, AsyncIterable)
_SYNC: tuple[Any, ...] = (Iterator, Generator, Iterable)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
_DURATION = re.compile(r"[1-9]\d*(s|m)")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Stage(Generic[I, O]):
    """A function that a worker serves as a stage of pipelines. Calling it calls the function, as in a test."""

    def __init__(
        self,
        function: Function[I, O] | Yielding[I, Any],
        *,
        name: str | None = None,
        version: str | None = None,
        compatible: Sequence[str] = (),
        heartbeat: str | None = None,
    ) -> None:
        self.function = function
        inner = _within_partials(function)
        named = getattr(inner, "__name__", None) if name is None else name
        if named is None:
            raise SettingError(f'{inner!r} has no name of its own: give it one, stage(name="…")')
        self.name: str = named
        """Type of the Temporal activity."""
        self.version = version
        self.compatible = tuple(compatible)
        """Earlier versions whose calls it takes too."""
        self.heartbeat = heartbeat
        self.description = inspect.getdoc(inner) or ""
        self.is_async = inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(type(inner).__call__)
        if not _NAME.fullmatch(self.name):
            raise SettingError(
                f'stage "{self.name}": the name must have letters, digits, ".", "_" and "-", a letter first, 63 at most'
            )
        if isinstance(compatible, str):
            raise SettingError(f'stage "{self.name}": compatible must be a list of versions, such as ["1"]')
        if self.compatible and version is None:
            raise SettingError(f'stage "{self.name}": compatible needs a version of its own beside it')
        for each in (*(() if version is None else (version,)), *self.compatible):
            if not isinstance(each, str) or not _VERSION.fullmatch(each):
                raise SettingError(
                    f'stage "{self.name}": a version must have letters, digits, ".", "_" and "-", '
                    f"a letter or digit first, 63 at most; {each!r} has not"
                )
        if heartbeat is not None and not _DURATION.fullmatch(heartbeat):
            raise SettingError(f'stage "{self.name}": heartbeat must be a time such as 30s or 2m, not "{heartbeat}"')
        types = _types(function, self.name)
        self.input: type[I] = types.input
        self.output: type[O] = types.output
        """What it returns; of a stage that yields, `BaseModel`."""
        self.entry: TypeAdapter[Any] | None = types.entry
        """What it yields; None for a stage that returns."""
        self.streams: dict[str, TypeAdapter[Any]] = _streams(types.input)
        """The fields of its input that are streams, by their names in JSON, with the type of an entry."""
        self.takes_context = types.takes_context
        if types.is_async is not None:
            self.is_async = types.is_async
        self.__doc__ = inner.__doc__
        self.__name__ = self.name

    def __call__(self, input: I, ctx: Context | None = None) -> Any:
        """Calls the function; of an `async` one the result is to be awaited, of one that yields it is the generator."""
        if not self.takes_context:
            return self.function(input)  # type: ignore[call-arg]
        return self.function(input, Context() if ctx is None else ctx)  # type: ignore[call-arg]


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Function[I, O], /) -> Stage[I, O]: ...
    @overload
    def __call__(self, function: Yielding[I, T], /) -> Stage[I, Any]: ...


@overload
def stage(function: Function[I, O], /) -> Stage[I, O]: ...


@overload
def stage(function: Yielding[I, T], /) -> Stage[I, Any]: ...


@overload
def stage(
    *,
    name: str | None = None,
    version: str | None = None,
    compatible: Sequence[str] = (),
    heartbeat: str | None = None,
) -> _Decorator: ...


def stage(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    version: str | None = None,
    compatible: Sequence[str] = (),
    heartbeat: str | None = None,
) -> Any:
    """Turns a function into a stage: `@stage`, or `@stage(name="denoise", version="2")`.

    The function takes a pydantic model and, if it has a second parameter, the `Context`; it returns a pydantic model.
    It may be `async`, or return a coroutine as a wrapper around an `async` function does. Other functions run in a thread, one for each call. It may run again after a crash, so it must be
    idempotent.

    A generator, typed `AsyncIterator[Entry]` or `Iterator[Entry]`, is a stage that yields: each entry is committed, and can
    be read by other stages, before the function goes on. `Entry` is any type that pydantic knows.

    A field of its input that is typed `Stream[Entry]` is read entry by entry, while another stage makes it.

    `name`: the activity's type, by default the function's name. `version`: change it when the function's behaviour
    changes. Each version has a task queue of its own, so a run goes on with the version that it began with, and waits
    while no worker serves that. `compatible`: earlier versions whose calls this one takes too. `heartbeat`: after this time without a sign of life its
    worker counts as lost, by default `5s`; longer for native code that holds Python's global lock for longer.

    Raises `SettingError` for a function whose parameters or result have no such types.
    """
    if function is not None:
        return Stage(function)
    return lambda given: Stage(given, name=name, version=version, compatible=compatible, heartbeat=heartbeat)


def stages_of(module: ModuleType) -> list[Stage[Any, Any]]:
    """The stages in a module's namespace, by name. Raises `SettingError` for none, and for two of one name."""
    found: dict[str, Stage[Any, Any]] = {}
    for value in vars(module).values():
        if not isinstance(value, Stage):
            continue
        if found.setdefault(value.name, value) is not value:
            raise SettingError(f'{module.__name__} has two stages named "{value.name}"; rename one of them')
    if not found:
        raise SettingError(f"{module.__name__} has no stage; mark a function with @millrace.stage")
    return [found[name] for name in sorted(found)]


def _within_partials(function: Any) -> Any:
    """The function that `functools.partial` sets parameters of."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


class _Types(NamedTuple):
    input: Any
    output: Any
    entry: TypeAdapter[Any] | None
    is_async: bool | None
    """Of a function that yields; None of one that returns."""
    takes_context: bool


def _types(function: Callable[..., Any], name: str) -> _Types:
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, TypeError) as error:
        raise SettingError(
            f'stage "{name}": its types cannot be read ({error}); the models must be defined at the top of a module'
        ) from error
    # What `functools.partial` has set by its name, or a default sets, nobody has to give.
    parameters = [
        each
        for each in signature.parameters.values()
        if each.kind is not inspect.Parameter.KEYWORD_ONLY or each.default is inspect.Parameter.empty
    ]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not 1 <= len(parameters) <= 2 or any(each.kind not in positional for each in parameters):
        raise SettingError(f'stage "{name}": it must take its input, and the context if it wants it: (input, ctx)')
    if len(parameters) == 2 and parameters[1].annotation not in (Context, inspect.Parameter.empty):
        raise SettingError(f'stage "{name}": its second parameter must be a millrace.Context')
    given, made = parameters[0].annotation, signature.return_annotation
    yields = get_origin(made) in (*_ASYNC, *_SYNC) or made in (*_ASYNC, *_SYNC)
    inner = _within_partials(function)
    if not yields and (inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)):
        raise SettingError(
            f'stage "{name}": it yields, so its result must be typed AsyncIterator[…] or Iterator[…], '
            "with the type of an entry"
        )
    models = [("the type of its first parameter", given), *([] if yields else [("the type of its result", made)])]
    for what, model in models:
        # In Python 3.10 `dict[str, int]` is a class.
        is_class = inspect.isclass(model) and get_origin(model) is None
        if not is_class or not issubclass(model, BaseModel) or issubclass(model, RootModel):
            shown = "missing" if model is inspect.Signature.empty else getattr(model, "__name__", repr(model))
            raise SettingError(f'stage "{name}": {what} is {shown}; it must be a class derived from pydantic.BaseModel')
    takes_context = len(parameters) == 2
    if not yields:
        return _Types(given, made, None, None, takes_context)
    return _Types(given, BaseModel, _entry(made, name), get_origin(made) in _ASYNC, takes_context)


def _streams(model: type[BaseModel]) -> dict[str, TypeAdapter[Any]]:
    fields = [(field.alias or name, field.annotation) for name, field in model.model_fields.items()]
    return {
        name: TypeAdapter(get_args(annotation)[0] if get_args(annotation) else Any)
        for name, annotation in fields
        if annotation is Stream or get_origin(annotation) is Stream
    }


def _entry(made: Any, name: str) -> TypeAdapter[Any]:
    arguments = get_args(made)
    if not arguments:
        raise SettingError(f'stage "{name}": the type of its entries is missing: AsyncIterator[str]')
    try:
        return TypeAdapter(arguments[0])
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        message = f'stage "{name}": its entries have a type that pydantic does not know: {error.message}'
        raise SettingError(message) from error
