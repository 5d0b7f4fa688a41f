"""What a stage does with media: read and write artifacts of the run's tenant."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, SupportsInt

from . import _sniff, wav
from .artifact import Artifact, Audio
from .errors import StageError
from .store import ArtifactStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")


class Artifacts:
    """Reads and writes the artifacts of one tenant during one call of a stage.

    `most_bytes` limits what a call reads at a time, and what it writes in total (`MILLRACE_MAX_STAGE_MEDIA_BYTES`).
    Calls block while they use the disk: in an `async` stage wrap them in `asyncio.to_thread`.
    """

    def __init__(
        self,
        store: ArtifactStore,
        tenant: str = "default",
        *,
        most_bytes: int = 2 << 30,
        on_conversion: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._most_bytes = most_bytes
        self._on_conversion = on_conversion
        self._written = 0
        self._lock = threading.Lock()

    def read(self, artifact: Artifact) -> bytes:
        """All bytes of an artifact, checked against its sha256.

        Raises `ARTIFACT_NOT_FOUND`, also for another tenant's artifact, `ARTIFACT_CORRUPT` and `BODY_TOO_LARGE`.
        """
        return self._store.read(self._tenant, artifact.uri, self._most_bytes)

    def read_audio(self, audio: Artifact) -> tuple[NDArray[np.float32], int]:
        """Mono samples in [-1, 1], and their rate in Hz, of a WAV file; channels are mixed. Needs numpy.

        Raises as `read` does, `INVALID_MEDIA` for a damaged file, and `CONVERSION_UNAVAILABLE` for other encodings:
        they are decoded in TypeScript, by declaring the field there as `audio({ encoding: 'wav' })`.
        """
        if audio.mime not in ("audio/wav", "audio/x-wav", "audio/wave"):
            message = f"{audio.uri} is {audio.mime}; Python stages read WAV"
            raise StageError("CONVERSION_UNAVAILABLE", message)
        data = self.read(audio)
        found = wav.parse(data)
        if found.frames * 4 > self._most_bytes:
            message = f"the samples of {audio.uri} take {found.frames * 4} bytes; a stage may read {self._most_bytes}"
            raise StageError("BODY_TOO_LARGE", message)
        if found.channels > 1:
            channels = "stereo" if found.channels == 2 else f"{found.channels} channels"
            self._on_conversion(f"{found.rate} Hz {channels} → {found.rate} Hz mono")
        return wav.mono(data, found), found.rate

    def write(self, data: bytes, type: str) -> Artifact:
        """Stores bytes under an IANA media type, `image/png`; returns an `Audio`, `Image`, `Video` or `File` accordingly.

        Bytes of audio, images and videos are checked, WAV to its end: `INVALID_MEDIA`. Raises `OUTPUT_BUDGET_EXCEEDED` above the limit of
        the call, `QUOTA_EXCEEDED` above that of the tenant, `STORE_FULL` and `STORE_UNAVAILABLE`.
        """
        if not _MEDIA_TYPE.fullmatch(type):
            raise StageError("INVALID_MEDIA", f'"{type}" is not a media type in lower case, such as image/png')
        info: dict[str, Any] = {"mime": type}
        if type == "audio/wav":
            found = wav.parse(data)
            info |= {"durationMs": found.duration_ms, "sampleRate": found.rate, "channels": found.channels}
        elif type.startswith(("audio/", "image/", "video/")) and not _sniff.begins_as(type, data):
            raise StageError("INVALID_MEDIA", f"the bytes are not {type}, or that is not a type that Millrace reads")
        with self._lock:
            if self._written + len(data) > self._most_bytes:
                raise StageError(
                    "OUTPUT_BUDGET_EXCEEDED",
                    f"the stage writes more than {self._most_bytes} bytes of media; "
                    "reduce its input, or raise MILLRACE_MAX_STAGE_MEDIA_BYTES",
                )
            self._written += len(data)
        return self._store.put(self._tenant, data, info)

    def write_audio(self, samples: ArrayLike, rate: SupportsInt) -> Audio:
        """Stores mono samples in [-1, 1] as 16-bit WAV; values outside are clipped. Needs numpy. Raises as `write`.

        `rate`: samples per second, a whole number of any type.
        """
        written = self.write(wav.write(samples, rate), "audio/wav")
        assert isinstance(written, Audio)
        return written
