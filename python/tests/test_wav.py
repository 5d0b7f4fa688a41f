from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from millrace import Artifacts, StageError, wav
from millrace.artifact import artifact_of


def file_of(tag: int, bits: int, channels: int, samples: bytes, *, rate: int = 8_000, size: int | None = None) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    size = len(samples) if size is None else size
    return b"RIFF" + struct.pack("<I", 36 + size % 0x7FFFF000) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + samples


@pytest.mark.parametrize(
    ("tag", "bits", "samples", "expected"),
    [
        (1, 8, bytes([0, 128, 192]), [-1, 0, 0.5]),
        (1, 16, struct.pack("<3h", -32768, 0, 16384), [-1, 0, 0.5]),
        (1, 24, b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40", [-1, 0, 0.5]),
        (1, 32, struct.pack("<3i", -(2**31), 0, 2**30), [-1, 0, 0.5]),
        (3, 32, struct.pack("<3f", -2, 0, 0.5), [-1, 0, 0.5]),
        (3, 64, struct.pack("<3d", float("nan"), 0, 0.5), [0, 0, 0.5]),
        # Both ends of the scale, and the least of a sign, by the tables of G.711.
        (7, 8, bytes([0x00, 0xFF, 0x80]), [-32_124 / 32_768, 0, 32_124 / 32_768]),
        (6, 8, bytes([0x2A, 0xD5, 0xAA]), [-32_256 / 32_768, 8 / 32_768, 32_256 / 32_768]),
    ],
)
def test_every_encoding(tag: int, bits: int, samples: bytes, expected: list[float]) -> None:
    data = file_of(tag, bits, 1, samples)
    found = wav.parse(data)
    assert (found.rate, found.channels, found.frames) == (8_000, 1, 3)
    assert wav.mono(data, found).dtype == np.float32
    assert wav.mono(data, found).tolist() == expected


def test_channels_are_mixed() -> None:
    data = file_of(1, 16, 2, struct.pack("<4h", 16384, 0, -16384, -16384))
    assert wav.mono(data, wav.parse(data)).tolist() == [0.25, -0.5]


def test_audio_longer_than_a_block() -> None:
    samples = np.linspace(-1, 1, 600_000)
    data = wav.write(samples, 48_000)
    assert np.abs(wav.mono(data, wav.parse(data)) - samples).max() < 1 / 32_000


def test_sizes_that_programs_leave_open_and_chunks_between() -> None:
    samples = struct.pack("<2h", 1, 2)
    for size in (0, 0xFFFFFFFF, 0x7FFFF000):
        assert wav.parse(file_of(1, 16, 1, samples, size=size)).frames == 2
    plain = file_of(1, 16, 1, samples)
    listed = plain[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + plain[36:]
    assert wav.parse(listed).frames == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not WAV"),
        (b"ID3" + bytes(20), "not WAV"),
        (b"RF64" + bytes(20), "RF64"),
        (file_of(1, 16, 1, b"\0\0", size=100), "truncated"),
        (file_of(1, 16, 1, b"\0\0")[:40], "truncated"),
        (file_of(1, 16, 1, b""), "no audio"),
        (file_of(6, 16, 1, b"\0\0"), "not supported"),
        (file_of(17, 8, 1, b"\0"), "not supported"),
        (file_of(1, 16, 9, bytes(18)), "9 channels"),
        (file_of(1, 16, 1, b"\0\0", rate=500), "500 Hz"),
    ],
)
def test_what_is_no_wav(data: bytes, message: str) -> None:
    with pytest.raises(StageError, match=message) as failed:
        wav.parse(data)
    assert failed.value.code == "INVALID_MEDIA"


def test_writing_is_the_inverse_of_reading_16_bits() -> None:
    pcm = np.arange(-32768, 32768, 7, dtype=np.int16)
    data = file_of(1, 16, 1, pcm.tobytes(), rate=16_000)
    assert wav.write(wav.mono(data, wav.parse(data)), 16_000) == data


def test_samples_outside_are_clipped() -> None:
    data = wav.write([-3, 3, float("nan"), float("inf")], 8_000)
    assert np.frombuffer(data[44:], "<i2").tolist() == [-32768, 32767, 0, 32767]


@pytest.mark.parametrize("rate", [np.int64(8_000), np.uint16(8_000), 8_000.0, np.float32(8_000)])
def test_a_rate_is_a_whole_number_of_any_type(rate: Any) -> None:
    assert wav.write([0.5], rate) == wav.write([0.5], 8_000)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [([], 8_000), ([[1, 2]], 8_000), *(([0], rate) for rate in (0, 8_000.5, float("nan"), float("inf"), "8000", None))],
)
def test_samples_that_cannot_be_written(samples: list[object], rate: Any) -> None:
    with pytest.raises(StageError) as failed:
        wav.write(samples, rate)  # type: ignore[arg-type]
    assert failed.value.code == "INVALID_MEDIA"


def test_audio_of_a_stage(artifacts: Artifacts) -> None:
    written = artifacts.write_audio(np.zeros(1_600), 16_000)
    assert (written.mime, written.duration_ms, written.sample_rate, written.channels) == ("audio/wav", 100, 16_000, 1)
    samples, rate = artifacts.read_audio(written)
    assert rate == 16_000 and samples.tolist() == [0] * 1_600


def test_other_encodings_are_decoded_in_typescript(artifacts: Artifacts) -> None:
    with pytest.raises(StageError, match="Python stages read WAV") as failed:
        artifacts.read_audio(artifacts.write(b"ID3" + bytes(20), "audio/mpeg"))
    assert failed.value.code == "CONVERSION_UNAVAILABLE"


def test_samples_that_need_more_memory_than_a_call_may_use(artifacts: Artifacts) -> None:
    eight_bits = artifacts.write(file_of(1, 8, 1, bytes(100)), "audio/wav")
    artifacts._most_bytes = 399
    with pytest.raises(StageError, match="take 400 bytes"):
        artifacts.read_audio(eight_bits)


def test_wav_metadata_are_of_the_bytes(artifacts: Artifacts) -> None:
    with pytest.raises(StageError, match="not WAV"):
        artifacts.write(b"ID3" + bytes(20), "audio/wav")


def test_an_artifact_of_another_kind_is_refused() -> None:
    sha = "0" * 64
    with pytest.raises(ValueError, match="not audio"):
        from millrace import Audio

        Audio(uri=f"artifact://acme/{sha}", sha256=sha, mime="image/png", bytes=1)
    with pytest.raises(ValueError, match="does not end with"):
        artifact_of({"uri": f"artifact://acme/{sha}", "sha256": "1" * 64, "mime": "text/plain", "bytes": 1})
