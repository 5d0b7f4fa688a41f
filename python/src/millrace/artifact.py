"""Media by reference: what stages receive and return instead of bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_TENANT = "[a-z0-9][a-z0-9._-]{0,62}"
_URI = re.compile(f"artifact://({_TENANT})/([0-9a-f]{{64}})")


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

    Use it as the type of a field for files of any kind; `Audio` and `Image` also check the kind.
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

    @model_validator(mode="after")
    def _check(self) -> Artifact:
        if not self.uri.endswith(self.sha256):
            raise ValueError("the address does not end with the sha256")
        if self.media != "artifact" and not self.mime.startswith(f"{self.media}/"):
            raise ValueError(f"is {self.mime}, not {self.media}")
        return self

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What is not known of a file is absent, as in TypeScript.
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The marker of a media value, as in the schemas of pipelines."""
        what = {"audio": "Audio", "image": "An image"}.get(cls.media, "A file")
        return {"media": cls.media, "description": f"{what} by reference"}


class Audio(Artifact):
    """Audio by reference"""

    media = "audio"


class Image(Artifact):
    """An image by reference"""

    media = "image"


def artifact_of(value: dict[str, Any]) -> Artifact:
    """The artifact that metadata describe, as the class of its kind."""
    mime = str(value.get("mime", ""))
    kind = Audio if mime.startswith("audio/") else Image if mime.startswith("image/") else Artifact
    return kind.model_validate(value)
