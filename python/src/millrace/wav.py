"""WAV files: their format, their samples, and how they are written. As Millrace's TypeScript reads and writes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsInt

from ._whole import whole
from .errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

_LEAST_RATE, _MOST_RATE, _MOST_CHANNELS = 1_000, 192_000, 8
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_ENCODINGS = {(_PCM, 8): "u8", (_PCM, 16): "s16", (_PCM, 24): "s24", (_PCM, 32): "s32", (_FLOAT, 32): "f32"}
_ENCODINGS.update({(_FLOAT, 64): "f64", (_A_LAW, 8): "alaw", (_MU_LAW, 8): "mulaw"})
_PLACEHOLDER = 0x7FFFF000
"""A `data` size at or above this, or zero, is unknown: programs that write to a pipe cannot fill it in."""
_BLOCK_FRAMES = 1 << 18


@dataclass(frozen=True)
class Wav:
    """The format of a WAV file, and where its samples are."""

    encoding: str
    rate: int
    channels: int
    frame_bytes: int
    start: int
    frames: int

    @property
    def duration_ms(self) -> int:
        """Play time in milliseconds, rounded half up."""
        return int(self.frames * 1_000 / self.rate + 0.5)


def parse(data: bytes) -> Wav:
    """The format of a WAV file. Raises `INVALID_MEDIA` for other files, and for a truncated one."""
    if data[:4] in (b"RF64", b"BW64", b"RIFX"):
        raise _invalid(f"{data[:4].decode()} files are not supported; write a plain RIFF WAV below 4 GiB")
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _invalid("the file is not WAV audio")
    riff_size = int.from_bytes(data[4:8], "little")
    at, form = 12, None
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt " and form is None:
            form = _format(data[at : at + min(size, 40)])
        elif name == b"data":
            if form is None:
                raise _invalid('the WAV file has samples before their format ("fmt " chunk)')
            encoding, rate, channels, frame_bytes = form
            really_empty = size == 0 and riff_size < _PLACEHOLDER and riff_size + 8 > at
            known = size < _PLACEHOLDER and (size > 0 or really_empty)
            if known and len(data) - at < size:
                raise _invalid(
                    f"the WAV file is truncated: its header declares {size} bytes of audio, {len(data) - at} arrived"
                )
            frames = (size if known else len(data) - at) // frame_bytes
            if frames == 0:
                raise _invalid("the WAV file holds no audio: its length is zero")
            return Wav(encoding, rate, channels, frame_bytes, at, frames)
        at += size + size % 2
    raise _invalid(f"the WAV file is truncated: it ends after {len(data)} bytes, before its samples")


def _format(body: bytes) -> tuple[str, int, int, int]:
    if len(body) < 16:
        raise _invalid(f"the WAV format chunk is {len(body)} bytes, less than 16")
    tag, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE:
        if len(body) < 40 or body[26:40] != _SUBFORMAT_TAIL:
            raise _invalid("the WAV sub-format is not a registered one")
        tag = int.from_bytes(body[24:26], "little")
    encoding = _ENCODINGS.get((tag, bits))
    if encoding is None:
        raise _invalid(
            f"the WAV encoding (format {tag}, {bits} bits) is not supported; "
            "use 8, 16, 24 or 32-bit PCM, 32 or 64-bit float, or 8-bit µ-law or A-law"
        )
    if not 1 <= channels <= _MOST_CHANNELS:
        raise _invalid(f"the WAV header gives {channels} channels; 1 to {_MOST_CHANNELS} are supported")
    _checked_rate(rate)
    if frame_bytes != channels * bits // 8:
        raise _invalid("the WAV header contradicts itself: its frame size does not fit channels and bits")
    return encoding, rate, channels, frame_bytes


def mono(data: bytes, wav: Wav) -> NDArray[np.float32]:
    """The samples as float32 in [-1, 1], the mean of all channels. NaN becomes silence."""
    numpy = _numpy()
    samples = numpy.empty(wav.frames, dtype=numpy.float32)
    at = 0
    for block in _blocks(data, wav):
        mixed = numpy.nan_to_num(_numbers(block, wav.encoding).reshape(-1, wav.channels).mean(axis=1), nan=0.0)
        samples[at : at + len(mixed)] = numpy.clip(mixed, -1, 1)
        at += len(mixed)
    return samples  # type: ignore[no-any-return]


def _blocks(data: bytes, wav: Wav) -> Iterator[memoryview]:
    view = memoryview(data)[wav.start : wav.start + wav.frames * wav.frame_bytes]
    step = _BLOCK_FRAMES * wav.frame_bytes
    for at in range(0, len(view), step):
        yield view[at : at + step]


def _numbers(block: memoryview, encoding: str) -> Any:
    numpy = _numpy()
    if encoding == "u8":
        return (numpy.frombuffer(block, "u1").astype("f8") - 128) / 0x80
    if encoding in ("mulaw", "alaw"):
        value = _mu_law if encoding == "mulaw" else _a_law
        return numpy.array([value(code) for code in range(256)], "f8")[numpy.frombuffer(block, "u1")] / 0x8000
    if encoding == "s24":
        parts = numpy.frombuffer(block, "u1").reshape(-1, 3)
        whole = numpy.zeros((len(parts), 4), "u1")
        whole[:, 1:] = parts
        return whole.reshape(-1).view("<i4") / 0x80000000
    types = {"s16": ("<i2", 0x8000), "s32": ("<i4", 0x80000000), "f32": ("<f4", 1), "f64": ("<f8", 1)}
    kind, full = types[encoding]
    return numpy.frombuffer(block, kind).astype("f8") / full


def _mu_law(code: int) -> int:
    """The 16-bit sample of a code of G.711's µ-law."""
    bits = code ^ 0xFF
    size = (((bits & 0x0F) << 3) + 0x84 << (bits >> 4 & 7)) - 0x84
    return -size if bits & 0x80 else size


def _a_law(code: int) -> int:
    """The 16-bit sample of a code of G.711's A-law."""
    bits = code ^ 0x55
    exponent, mantissa = bits >> 4 & 7, (bits & 0x0F) << 4
    size = mantissa + 8 if exponent == 0 else mantissa + 0x108 << exponent - 1
    return size if bits & 0x80 else -size


def write(samples: ArrayLike, rate: SupportsInt) -> bytes:
    """A 16-bit mono WAV file of samples in [-1, 1]; values outside are clipped, NaN becomes silence.

    `rate`: a whole number of Hz, of any type. Raises `INVALID_MEDIA` for a rate outside 1,000 to 192,000 Hz, and for
    samples that are not one row.
    """
    numpy = _numpy()
    hz = _checked_rate(rate)
    row = numpy.asarray(samples, dtype=numpy.float64)
    if row.ndim != 1 or len(row) == 0:
        raise _invalid(f"the samples have the shape {row.shape}; give one row of at least one sample")
    row = numpy.clip(numpy.nan_to_num(row, nan=0.0), -1, 1)
    pcm: bytes = numpy.minimum(0x7FFF, numpy.floor(row * 0x8000 + 0.5)).astype("<i2").tobytes()
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + len(pcm), b"WAVEfmt ", 16, _PCM, 1, hz, hz * 2, 2, 16, b"data", len(pcm))
    return head + pcm


def _checked_rate(rate: SupportsInt) -> int:
    try:
        hz = whole(rate)
    except ValueError:
        hz = 0
    if not _LEAST_RATE <= hz <= _MOST_RATE:
        raise _invalid(f"a sample rate of {rate} Hz is not supported; {_LEAST_RATE} to {_MOST_RATE} Hz are")
    return hz


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as error:
        raise ImportError("samples need numpy: pip install 'millrace[audio]'") from error
    return numpy


def _invalid(message: str) -> StageError:
    return StageError("INVALID_MEDIA", message)
