"""The artifact store: a folder that the processes of a deployment share, written as Millrace's TypeScript writes it.

`<root>/<tenant>/<first two digits of the sha256>/<sha256>` holds the bytes, `<sha256>.json` beside it the metadata.
Files appear complete: they are written in `<root>/.incoming`, synced, and renamed into place, the metadata first.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import Artifact, artifact_of, is_tenant, parse_uri
from .errors import StageError

_INCOMING = ".incoming"
_STALE_S = 24 * 3_600
_USED_EVERY_S = 24 * 3_600
_MEASURED_FOR_S = 60.0
_MEASURING_SHARE = 0.05
_LEAST_BYTES = 8 * 1_024
"""What a file counts at least: it takes blocks of the disk, and one of its inodes."""
_RESERVED_INODES = 0.1
"""The share of the inodes that writes keep free, as a part of the reserve's share of the disk."""


class ArtifactStore:
    """The artifact store of a deployment. Every method checks the tenant: another tenant's address does not exist.

    `tenant_bytes`: what a tenant may keep; above it a write raises `QUOTA_EXCEEDED`. `reserve_bytes`: what writes keep
    free on the disk, beside some of its inodes; below that they raise `STORE_FULL`. Methods block while they use the
    disk, and may be called from any thread.
    """

    def __init__(self, root: Path | str, *, tenant_bytes: int | None = None, reserve_bytes: int = 0) -> None:
        self.root = Path(root)
        self._incoming = self.root / _INCOMING
        self._room = _Room(self.root, tenant_bytes, reserve_bytes)
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            _sweep(self._incoming)
        except OSError as error:
            raise _disk_error("open", error) from error

    def stat(self, tenant: str, uri: str) -> Artifact:
        """The metadata of an artifact. Raises `ARTIFACT_NOT_FOUND`, or `ARTIFACT_CORRUPT` if they are damaged."""
        file = self._locate(tenant, uri)
        try:
            size = file.stat().st_size
            known = json.loads(file.with_name(f"{file.name}.json").read_bytes())
            artifact = artifact_of(known)
        except FileNotFoundError as error:
            if error.filename == str(file):
                raise _disk_error("read", error, uri) from error
            raise _damaged(uri) from error
        except ValueError as error:
            raise _damaged(uri) from error
        except OSError as error:
            raise _disk_error("read", error, uri) from error
        if artifact.uri != uri:
            raise _damaged(uri)
        if artifact.bytes != size:
            raise StageError("ARTIFACT_CORRUPT", f"{uri} has {size} bytes, not {artifact.bytes}")
        return artifact

    def read(self, tenant: str, uri: str, most: int) -> bytes:
        """All bytes of an artifact, checked against its sha256. Raises `BODY_TOO_LARGE` above `most` bytes."""
        size = self.stat(tenant, uri).bytes
        if size > most:
            raise StageError("BODY_TOO_LARGE", f"{uri} has {size} bytes; a stage may read {most}")
        file = self._locate(tenant, uri)
        try:
            with file.open("rb") as opened:
                _note_use(opened.fileno())
                # One byte more than expected shows that the file has grown.
                data = opened.read(size + 1)
        except OSError as error:
            raise _disk_error("read", error, uri) from error
        if not uri.endswith(hashlib.sha256(data).hexdigest()):
            raise StageError("ARTIFACT_CORRUPT", f"the bytes of {uri} do not match its sha256")
        return data

    def put(self, tenant: str, data: bytes, info: Mapping[str, Any]) -> Artifact:
        """Stores bytes with `info`: `mime`, and of audio `durationMs`, `sampleRate` and `channels`.

        Equal bytes of a tenant are stored once.
        """
        if not is_tenant(tenant):
            raise StageError("INVALID_INPUT", f'"{tenant}" is not a tenant name')
        sha256 = hashlib.sha256(data).hexdigest()
        entry = {"uri": f"artifact://{tenant}/{sha256}", "sha256": sha256, "bytes": len(data), **info}
        target = self._file(tenant, sha256)
        temporary = self._incoming / str(uuid.uuid4())
        sidecar = temporary.with_name(f"{temporary.name}.json")
        with self._room.take(tenant, len(data)) as taken:
            try:
                known = target.exists()
                _write_synced(temporary, data)
                _write_synced(sidecar, f"{json.dumps(entry, separators=(',', ':'), ensure_ascii=False)}\n".encode())
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(sidecar, target.with_name(f"{sha256}.json"))
                os.replace(temporary, target)
                _sync_folder(target.parent)
            except OSError as error:
                raise _disk_error("write", error) from error
            finally:
                # Already gone unless the write failed; what cannot be removed now is removed at a later start.
                for left in (temporary, sidecar):
                    try:
                        left.unlink(missing_ok=True)
                    except OSError:
                        pass
            taken.kept = not known
        return artifact_of(entry)

    def _locate(self, tenant: str, uri: str) -> Path:
        """Validates an address and its tenant. All access by address goes through here."""
        address = parse_uri(uri)
        if address is None:
            raise StageError("ARTIFACT_NOT_FOUND", f'"{uri}" is not an artifact\'s address')
        if address[0] != tenant:
            raise StageError("ARTIFACT_NOT_FOUND", f"no artifact at {uri}")
        return self._file(*address)

    def _file(self, tenant: str, sha256: str) -> Path:
        return self.root / tenant / sha256[:2] / sha256


@dataclass
class _Taken:
    kept: bool = False


@dataclass
class _Use:
    bytes: int = 0
    under_way: int = 0
    due_at: float = 0.0
    """When it is to be measured again, by `time.monotonic`."""
    measuring: threading.Event | None = None
    """Set when the measurement under way has ended; None if none is under way."""


class _Room:
    """Enforces the quota of each tenant, and keeps the disk from filling up.

    Between measurements a process counts only its own writes: N processes may together exceed a quota by what N - 1 of
    them write in that time. A write waits for the first measurement of its own tenant; one that would be refused waits
    for a measurement that is under way.
    """

    def __init__(self, root: Path, tenant_bytes: int | None, reserve_bytes: int) -> None:
        self._root = root
        self._tenant_bytes = tenant_bytes
        self._reserve_bytes = reserve_bytes
        self._uses: dict[str, _Use] = {}
        self._lock = threading.Lock()

    @contextmanager
    def take(self, tenant: str, size: int) -> Iterator[_Taken]:
        """Holds room for a write until it ends; `kept` says whether it has added a file to the store."""
        self._require_disk(size)
        taken = _Taken()
        use = self._use_of(tenant)
        # Its content, and the metadata beside it.
        space = max(size, _LEAST_BYTES) + _LEAST_BYTES
        self._reserve(tenant, use, space)
        try:
            yield taken
        finally:
            with self._lock:
                use.under_way -= space
                if taken.kept:
                    use.bytes += space

    def _reserve(self, tenant: str, use: _Use, size: int) -> None:
        """Counts a write as under way. Before it is refused, a measurement under way ends, and it is checked again."""
        for checked in (False, True):
            with self._lock:
                if self._tenant_bytes is None or use.bytes + use.under_way + size <= self._tenant_bytes:
                    use.under_way += size
                    return
                measuring = use.measuring
            if checked or measuring is None:
                break
            measuring.wait()
        message = (
            f'tenant "{tenant}" would keep more than {self._tenant_bytes} bytes of artifacts, '
            f"of which each counts as {2 * _LEAST_BYTES} or more"
        )
        raise StageError("QUOTA_EXCEEDED", message)

    def _require_disk(self, more: int) -> None:
        if self._reserve_bytes == 0:
            return
        try:
            found = os.statvfs(self._root)
        except OSError as error:
            raise _disk_error("write", error) from error
        free = found.f_bavail * found.f_frsize
        if free < self._reserve_bytes + more:
            raise _full(f"{free} bytes", self._reserve_bytes)
        # Some file systems have no fixed number of inodes: they say 0.
        share = self._reserve_bytes / (found.f_blocks * found.f_frsize)
        inodes = math.ceil(_RESERVED_INODES * share * found.f_files)
        if found.f_files > 0 and found.f_favail < inodes:
            raise _full(f"{found.f_favail} inodes", inodes)

    def _use_of(self, tenant: str) -> _Use:
        """What a tenant keeps; measures it, or lets it be measured, if that is due."""
        with self._lock:
            use = self._uses.setdefault(tenant, _Use())
            if self._tenant_bytes is None or time.monotonic() < use.due_at:
                return use
            first, measuring, before = use.due_at == 0.0, use.measuring, use.bytes
            ended = threading.Event()
            if measuring is None:
                use.measuring = ended
        if measuring is not None:
            if first:
                measuring.wait()
        elif first:
            self._measure(tenant, use, before, ended)
        else:
            try:
                threading.Thread(target=self._measure, args=(tenant, use, before, ended), daemon=True).start()
            except RuntimeError:
                self._measure(tenant, use, before, ended)  # the process has no thread left
        return use

    def _measure(self, tenant: str, use: _Use, before: int, ended: threading.Event) -> None:
        """Measures what a tenant keeps, of which `before` was known; sets `ended` in any case."""
        began, found = time.monotonic(), before
        try:
            found = _bytes_in(self._root / tenant)
        finally:
            now = time.monotonic()
            with self._lock:
                # Writes during the measurement may or may not be included in it; they are counted.
                use.bytes = found + use.bytes - before
                use.due_at = now + max(_MEASURED_FOR_S, (now - began) / _MEASURING_SHARE)
                use.measuring = None
            ended.set()


def _bytes_in(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += max(os.stat(os.path.join(where, name)).st_size, _LEAST_BYTES)
            except OSError:
                pass  # removed during the measurement
    return total


def _full(left: str, reserved: int) -> StageError:
    message = (
        f"the disk of the artifact store has {left} left, of which {reserved} are reserved; "
        "remove artifacts or enlarge the disk"
    )
    return StageError("STORE_FULL", message)


def _write_synced(file: Path, data: bytes) -> None:
    with file.open("xb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    """Makes the entries of a folder durable: syncing a file does not do that (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _note_use(descriptor: int) -> None:
    """Updates the modification time, by which pruning determines the last use; a read-only store can still be read."""
    try:
        if time.time() - os.fstat(descriptor).st_mtime > _USED_EVERY_S:
            os.utime(descriptor)
    except OSError:
        pass


def _sweep(incoming: Path) -> None:
    """Removes what processes that died have left."""
    before = time.time() - _STALE_S
    for file in incoming.iterdir():
        try:
            if file.stat().st_mtime < before:
                file.unlink(missing_ok=True)
        except OSError:
            pass  # another process has removed it


def _damaged(uri: str) -> StageError:
    message = f"the metadata of {uri} is missing or damaged; store it again to repair it"
    return StageError("ARTIFACT_CORRUPT", message)


def _disk_error(doing: str, error: OSError, uri: str | None = None) -> StageError:
    """The error of a file operation; its message contains no path."""
    if uri is not None and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return StageError("ARTIFACT_NOT_FOUND", f"no artifact at {uri}")
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageError("STORE_FULL", f"the disk of the artifact store is full ({name})")
    return StageError("STORE_UNAVAILABLE", f"cannot {doing} the artifact store ({name})")
