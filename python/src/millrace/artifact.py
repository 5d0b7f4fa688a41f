"""Media by reference: what stages receive and return instead of bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

_TENANT = "[a-z0-9][a-z0-9._-]{0,62}"
_URI = re.compile(f"artifact://({_TENANT})/([0-9a-f]{{64}})")
_CONTAINER = re.compile(r"(audio|video)/(mp4|webm)")
"""Containers that hold audio as well as video: which of the two a file was stored as says nothing about its tracks."""


def is_tenant(name: str) -> bool:
    """Whether a text is a tenant's name: valid in an address, and a safe folder name."""
    return re.fullmatch(_TENANT, name) is not None


def parse_uri(uri: str) -> tuple[str, str] | None:
    """Tenant and sha256 of an artifact's address; None if it is none."""
    found = _URI.fullmatch(uri)
    return None if found is None else (found[1], found[2])


def _whole(value: Any) -> Any:
    # A JSON number has no type: 1500.0 of another language is 1500.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Artifact(BaseModel):
    """A file in the artifact store of the deployment, by its address. Its bytes never travel through a run.

    Use `Audio`, `Image`, `Video` or `File` as the type of a field; this is what they have in common.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    media: ClassVar[str] = "artifact"
    """Marks the JSON Schema: `millrace types` turns it into the TypeScript schema of the same name."""

    uri: Annotated[str, Field(pattern=f"^{_URI.pattern}$")]
    """`artifact://<tenant>/<sha256>`"""
    sha256: str
    """Hex sha256 of the bytes."""
    mime: str
    """IANA media type, such as `audio/wav`."""
    bytes: Annotated[int, Field(ge=0)]
    """Size of the file."""
    duration_ms: Annotated[int | None, BeforeValidator(_whole), Field(alias="durationMs")] = None
    """Play time in milliseconds (audio)."""
    sample_rate: Annotated[int | None, BeforeValidator(_whole), Field(alias="sampleRate")] = None
    """Samples per second and channel (audio)."""
    channels: int | None = None
    """Channel count (audio)."""

    @model_validator(mode="before")
    @classmethod
    def _of_any_class(cls, value: Any) -> Any:
        # Whether an artifact fits a field depends on its media type, as in TypeScript: an `Image` is also a `File`.
        return value.model_dump(by_alias=True) if isinstance(value, Artifact) and not isinstance(value, cls) else value

    @model_validator(mode="after")
    def _check(self) -> Artifact:
        if not self.uri.endswith(self.sha256):
            raise ValueError("the address does not end with the sha256")
        if not self._fits(self.mime):
            raise ValueError(f"is {self.mime}, not {self.media}")
        return self

    @classmethod
    def _fits(cls, mime: str) -> bool:
        if cls.media in ("artifact", "file") or mime.startswith(f"{cls.media}/"):
            return True
        return cls.media != "image" and _CONTAINER.fullmatch(mime) is not None

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What is not known of a file is absent, as in TypeScript.
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The marker of a media value, as in the schemas of pipelines."""
        what = {"audio": "Audio", "image": "An image", "video": "A video"}.get(cls.media, "A file")
        return {"media": cls.media, "description": f"{what} by reference"}


class Audio(Artifact):
    """Audio by reference"""

    media = "audio"


class Image(Artifact):
    """An image by reference"""

    media = "image"


class Video(Artifact):
    """A video by reference"""

    media = "video"


class File(Artifact):
    """A file by reference, of any media type: a document, or media whose kind does not matter"""

    media = "file"


class MediaTypes:
    """Restricts a `File` to some media types: `Annotated[File, MediaTypes("application/pdf")]`."""

    def __init__(self, *types: str) -> None:
        if not types:
            raise ValueError("MediaTypes needs at least one media type, such as application/pdf")
        self.types = types

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of the `File`, and the check of its media type."""
        if source is not File:
            raise TypeError("MediaTypes is for fields of the type File")
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The marker of a file, with its types, in place of a reference to that of all files."""
        return {**handler.resolve_ref_schema(handler(schema)), "types": list(self.types)}

    def _check(self, file: File) -> File:
        if file.mime not in self.types:
            raise ValueError(f"is {file.mime}, not {' or '.join(self.types)}")
        return file


_KINDS: dict[str, type[Artifact]] = {"audio": Audio, "image": Image, "video": Video}


def artifact_of(value: dict[str, Any]) -> Artifact:
    """The artifact that metadata describe, as the class of its kind."""
    kind = _KINDS.get(str(value.get("mime", "")).partition("/")[0], File)
    return kind.model_validate(value)
