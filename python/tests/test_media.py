from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError

import millrace
from millrace import Artifact, Artifacts, Audio, File, Image, MediaTypes, StageError, Video

SHA = "0" * 64
MP4 = b"\0\0\0\x20ftypisom" + bytes(52)
M4A = b"\0\0\0\x20ftypM4A " + bytes(52)
HEIC = b"\0\0\0\x20ftypheic" + bytes(52)
WEBM = b"\x1aE\xdf\xa3\x9fB\x82\x84webm" + bytes(52)
MATROSKA = b"\x1aE\xdf\xa3\x9fB\x82\x88matroska" + bytes(48)
AVI = b"RIFF\0\0\0\0AVI LIST" + bytes(48)
WEBP = b"RIFF\0\0\0\0WEBPVP8 " + bytes(48)


class Given(BaseModel):
    clip: Video
    paper: Annotated[File, MediaTypes("application/pdf", "text/plain")]
    more: File | None = None


class Made(BaseModel):
    cut: Video
    notes: File


def reference(mime: str) -> dict[str, Any]:
    return {"uri": f"artifact://acme/{SHA}", "sha256": SHA, "mime": mime, "bytes": 1}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Video, ["video/mp4", "video/x-matroska", "audio/webm", "audio/mp4"], ["audio/wav", "image/png", "text/plain"]),
        (Audio, ["audio/wav", "video/mp4", "video/webm"], ["video/x-msvideo", "image/png", "application/mp4"]),
        (Image, ["image/png"], ["video/mp4", "audio/webm"]),
        (File, ["video/mp4", "image/png", "application/pdf"], []),
    ],
)
def test_a_field_takes_media_by_their_type(kind: type[Artifact], right: list[str], wrong: list[str]) -> None:
    for mime in right:
        assert type(kind.model_validate(reference(mime))) is kind
    for mime in wrong:
        with pytest.raises(ValidationError, match=f"is {mime}, not {kind.media}"):
            kind.model_validate(reference(mime))


def test_a_file_of_some_types() -> None:
    given = {"clip": reference("video/mp4"), "paper": reference("application/pdf")}
    assert type(Given.model_validate(given).paper) is File
    with pytest.raises(ValidationError, match="is image/png, not application/pdf or text/plain"):
        Given.model_validate({**given, "paper": reference("image/png")})
    with pytest.raises(ValueError, match="at least one media type"):
        MediaTypes()
    with pytest.raises(TypeError, match="fields of the type File"):

        class Wrong(BaseModel):
            image: Annotated[Image, MediaTypes("image/png")]


def test_a_stage_takes_and_returns_videos_and_files(artifacts: Artifacts) -> None:
    @millrace.stage
    def cut(input: Given, ctx: millrace.Context) -> Made:
        assert ctx.artifacts.read(input.clip) == MP4
        return Made.model_validate(
            {"cut": ctx.artifacts.write(WEBM, "audio/webm"), "notes": ctx.artifacts.write(WEBP, "image/webp")}
        )

    clip, paper = artifacts.write(MP4, "video/mp4"), artifacts.write(b"%PDF-1.7", "application/pdf")
    assert (type(clip), type(paper)) == (Video, File)
    given = Given.model_validate({"clip": clip, "paper": paper, "more": clip})
    made = cut(given, millrace.Context(artifacts=artifacts))
    assert (type(made.cut), type(made.notes)) == (Video, File)
    sent = made.model_dump(mode="json", by_alias=True)
    assert sorted(sent["cut"]) == ["bytes", "mime", "sha256", "uri"]
    assert (sent["cut"]["mime"], sent["notes"]["mime"]) == ("audio/webm", "image/webp")

    [entry] = millrace.manifest([cut], "python")["stages"]
    schema = entry["input"]
    assert schema["$defs"]["Video"] == {"media": "video", "description": "A video by reference"}
    assert schema["$defs"]["File"] == {"media": "file", "description": "A file by reference"}
    assert schema["properties"]["paper"]["media"] == "file"
    assert schema["properties"]["paper"]["types"] == ["application/pdf", "text/plain"]


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("video/mp4", MP4),
        ("audio/mp4", MP4),
        ("audio/mp4", M4A),
        ("video/webm", WEBM),
        ("audio/webm", WEBM),
        ("video/x-matroska", MATROSKA),
        ("video/x-msvideo", AVI),
        ("image/webp", WEBP),
    ],
)
def test_bytes_of_their_type(artifacts: Artifacts, type: str, data: bytes) -> None:
    written = artifacts.write(data, type)
    assert written.mime == type and artifacts.read(written) == data


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("video/mp4", M4A),
        ("video/mp4", HEIC),
        ("audio/mp4", HEIC),
        ("video/webm", MATROSKA),
        ("video/x-matroska", WEBM),
        ("audio/webm", MATROSKA),
        ("video/x-msvideo", WEBP),
        ("image/webp", b"JUNK\0\0\0\0WEBP" + bytes(52)),
        ("video/mp4", b"%PDF-1.7"),
        ("video/mp4", b""),
        ("video/quicktime", MP4),
    ],
)
def test_bytes_of_another_type(artifacts: Artifacts, type: str, data: bytes) -> None:
    with pytest.raises(StageError, match=f"not {type}") as failed:
        artifacts.write(data, type)
    assert failed.value.code == "INVALID_MEDIA"
