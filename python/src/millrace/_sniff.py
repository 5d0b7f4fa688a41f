"""What files of audio, images and videos begin with: the types that Millrace knows, told as in TypeScript."""

from __future__ import annotations

_HEAD_BYTES = 64
_EBML = b"\x1aE\xdf\xa3"
_STARTS: dict[str, tuple[bytes, ...]] = {
    "audio/mpeg": (b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2"),
    "audio/flac": (b"fLaC",),
    "audio/ogg": (b"OggS",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
_RIFF = {"image/webp": b"WEBP", "video/x-msvideo": b"AVI "}
_EBML_NAMES = {"audio/webm": b"webm", "video/webm": b"webm", "video/x-matroska": b"matroska"}
_IMAGE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
"""Brands of the MP4 family (ISO/IEC 14496-12, 4.3) that are still images: HEIF and AVIF."""
_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
"""Brands of MP4 files that hold audio only."""


def begins_as(type: str, data: bytes) -> bool:
    """Whether bytes begin as a file of the media type does; no, for a type that is not known here."""
    head = data[:_HEAD_BYTES]
    if type in _RIFF:
        return head.startswith(b"RIFF") and head.startswith(_RIFF[type], 8)
    if type in _EBML_NAMES:
        # A Matroska file may name WebM as well: it is then WebM.
        name = b"webm" if b"webm" in head else b"matroska"
        return head.startswith(_EBML) and name in head and name == _EBML_NAMES[type]
    if type in ("audio/mp4", "video/mp4"):
        others = _IMAGE_BRANDS if type == "audio/mp4" else _IMAGE_BRANDS + _AUDIO_BRANDS
        return head.startswith(b"ftyp", 4) and not head.startswith(others, 8)
    return head.startswith(_STARTS.get(type, ()))
