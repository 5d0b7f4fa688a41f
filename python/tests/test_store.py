from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from millrace import Artifacts, ArtifactStore, Audio, File, Image, StageError
from millrace import store as store_module

BYTES = b"some bytes"
SHA = hashlib.sha256(BYTES).hexdigest()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def code_of(failed: pytest.ExceptionInfo[StageError]) -> tuple[str, bool]:
    return failed.value.code, failed.value.retryable


def test_the_layout_is_that_of_typescript(store: ArtifactStore) -> None:
    store.put("acme", BYTES, {"mime": "application/octet-stream"})
    folder = store.root / "acme" / SHA[:2]
    assert sorted(file.name for file in folder.iterdir()) == [SHA, f"{SHA}.json"]
    assert (folder / SHA).read_bytes() == BYTES
    sidecar = f'{{"uri":"artifact://acme/{SHA}","sha256":"{SHA}","bytes":10,"mime":"application/octet-stream"}}\n'
    assert (folder / f"{SHA}.json").read_text() == sidecar
    assert list((store.root / ".incoming").iterdir()) == []


def test_bytes_come_back_as_the_class_of_their_kind(artifacts: Artifacts) -> None:
    plain = artifacts.write(BYTES, "application/json")
    assert type(plain) is File and plain.uri == f"artifact://acme/{SHA}" and plain.bytes == 10
    assert artifacts.read(plain) == BYTES
    assert type(artifacts.write(PNG, "image/png")) is Image
    assert type(artifacts.write(b"ID3" + bytes(9), "audio/mpeg")) is Audio


def test_another_tenant_does_not_exist(artifacts: Artifacts, store: ArtifactStore) -> None:
    written = artifacts.write(BYTES, "text/plain")
    with pytest.raises(StageError) as other:
        Artifacts(store, "rival").read(written)
    assert code_of(other) == ("ARTIFACT_NOT_FOUND", False)
    for uri in ("artifact://acme/../etc", f"artifact://acme/{'0' * 64}", "file:///etc/passwd"):
        with pytest.raises(StageError) as none:
            store.read("acme", uri, 100)
        assert none.value.code == "ARTIFACT_NOT_FOUND"
    with pytest.raises(StageError) as name:
        store.put("../acme", BYTES, {"mime": "text/plain"})
    assert name.value.code == "INVALID_INPUT"


@pytest.mark.parametrize("damage", ["bytes", "length", "sidecar", "no sidecar", "other sidecar"])
def test_damage_is_found(artifacts: Artifacts, store: ArtifactStore, damage: str) -> None:
    written = artifacts.write(BYTES, "text/plain")
    file = store.root / "acme" / SHA[:2] / SHA
    sidecar = file.with_name(f"{SHA}.json")
    if damage == "bytes":
        file.write_bytes(BYTES[::-1])
    elif damage == "length":
        file.write_bytes(BYTES + b"!")
    elif damage == "sidecar":
        sidecar.write_text("{")
    elif damage == "no sidecar":
        sidecar.unlink()
    else:
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "uri": f"artifact://acme/{'0' * 64}"}))
    with pytest.raises(StageError) as failed:
        artifacts.read(written)
    assert code_of(failed) == ("ARTIFACT_CORRUPT", False)


def test_equal_bytes_are_stored_once_and_repair_what_is_damaged(artifacts: Artifacts, store: ArtifactStore) -> None:
    written = artifacts.write(BYTES, "text/plain")
    (store.root / "acme" / SHA[:2] / f"{SHA}.json").unlink()
    assert artifacts.write(BYTES, "text/plain") == written
    assert artifacts.read(written) == BYTES


def test_limits_of_a_call(store: ArtifactStore) -> None:
    big = store.put("acme", bytes(200), {"mime": "text/plain"})
    limited = Artifacts(store, "acme", most_bytes=100)
    with pytest.raises(StageError) as read:
        limited.read(big)
    assert code_of(read) == ("BODY_TOO_LARGE", False)
    limited.write(bytes(60), "text/plain")
    with pytest.raises(StageError) as written:
        limited.write(bytes(41), "text/plain")
    assert code_of(written) == ("OUTPUT_BUDGET_EXCEEDED", False)
    limited.write(bytes(40), "text/plain")


def test_the_quota_of_a_tenant(tmp_path: Path) -> None:
    first = ArtifactStore(tmp_path, tenant_bytes=500_000)
    first.put("acme", bytes(100_000), {"mime": "text/plain"})
    # What other processes have written counts from the measurement on.
    store = ArtifactStore(tmp_path, tenant_bytes=500_000)
    with pytest.raises(StageError) as failed:
        store.put("acme", bytes(450_000), {"mime": "text/plain"})
    assert code_of(failed) == ("QUOTA_EXCEEDED", False)
    store.put("rival", bytes(450_000), {"mime": "text/plain"})
    for _ in range(9):
        store.put("acme", bytes(150_000), {"mime": "text/plain"})  # the same bytes count once


def test_tiny_files_count_as_what_they_take_of_the_disk(tmp_path: Path) -> None:
    for already in (0, 4):  # the second store measures them
        store = ArtifactStore(tmp_path, tenant_bytes=4 * 16_384)
        for i in range(already, 4):
            store.put("acme", bytes([i]), {"mime": "text/plain"})
        with pytest.raises(StageError) as failed:
            store.put("acme", b"another", {"mime": "text/plain"})
        assert code_of(failed) == ("QUOTA_EXCEEDED", False)


class Measuring:
    """Measurements that end when they may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_end = threading.Event()
        self.begun: list[str] = []
        self.found = 0
        monkeypatch.setattr(store_module, "_bytes_in", self._measure)

    def _measure(self, folder: Path) -> int:
        self.begun.append(folder.name)
        assert self.may_end.wait(30)
        return self.found

    def until(self, begun: list[str]) -> None:
        end = time.monotonic() + 30
        while self.begun != begun:
            assert time.monotonic() < end
            time.sleep(0.005)


def test_the_first_measurement_of_a_tenant_holds_up_its_own_writes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path, tenant_bytes=500_000)
    store.put("rival", b"1", {"mime": "text/plain"})
    measuring = Measuring(monkeypatch)
    measuring.found = 490_000
    with ThreadPoolExecutor(3) as executor:
        try:
            writes = [executor.submit(store.put, "acme", bytes(20), {"mime": "text/plain"}) for _ in range(2)]
            measuring.until(["acme"])
            # In a thread too: a write that waits must not hang the test.
            executor.submit(store.put, "rival", b"2", {"mime": "text/plain"}).result(timeout=30)
            assert not any(each.done() for each in writes) and measuring.begun == ["acme"]
        finally:
            measuring.may_end.set()
        for each in writes:
            with pytest.raises(StageError) as failed:
                each.result()
            assert failed.value.code == "QUOTA_EXCEEDED"
    assert measuring.begun == ["acme"]


def test_later_measurements_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(tmp_path, tenant_bytes=500_000)
    store.put("acme", b"1", {"mime": "text/plain"})
    use = store._room._uses["acme"]
    measuring = Measuring(monkeypatch)
    measuring.found = 400_000
    use.due_at = time.monotonic()
    with ThreadPoolExecutor(1) as executor:
        try:
            for i in range(2):
                executor.submit(store.put, "acme", bytes(20 + i), {"mime": "text/plain"}).result(timeout=30)
            measuring.until(["acme"])
        finally:
            measuring.may_end.set()
    end = time.monotonic() + 30
    while use.measuring:
        assert time.monotonic() < end
        time.sleep(0.005)
    # What was written meanwhile is added.
    assert (use.bytes, use.under_way, measuring.begun) == (400_000 + 2 * 16_384, 0, ["acme"])


def test_a_write_that_would_be_refused_waits_for_a_measurement_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path, tenant_bytes=500_000)
    store.put("acme", bytes(450_000), {"mime": "text/plain"})
    use = store._room._uses["acme"]
    measuring = Measuring(monkeypatch)
    # Artifacts were pruned before the second measurement.
    for found, fits in ((450_000, False), (10_000, True)):
        measuring.found = found
        measuring.begun.clear()
        measuring.may_end.clear()
        use.due_at = time.monotonic()
        with ThreadPoolExecutor(1) as executor:
            try:
                write = executor.submit(store.put, "acme", bytes(100_000), {"mime": "text/plain"})
                measuring.until(["acme"])
                time.sleep(0.05)
                assert not write.done()
            finally:
                measuring.may_end.set()
            if fits:
                write.result(timeout=30)
            else:
                with pytest.raises(StageError) as failed:
                    write.result(timeout=30)
                assert code_of(failed) == ("QUOTA_EXCEEDED", False)
    assert (use.bytes, use.under_way) == (10_000 + 100_000 + 8_192, 0)


def test_a_write_that_fails_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(tmp_path, tenant_bytes=30_000)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched, pytest.raises(StageError) as failed:
        patched.setattr(os, "fsync", full)
        store.put("acme", bytes(60), {"mime": "text/plain"})
    assert code_of(failed) == ("STORE_FULL", True)
    assert list((tmp_path / ".incoming").iterdir()) == [] and not (tmp_path / "acme").exists()
    store.put("acme", bytes(60), {"mime": "text/plain"})


def test_the_reserve_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StageError) as failed:
        ArtifactStore(tmp_path, reserve_bytes=1 << 60).put("acme", BYTES, {"mime": "text/plain"})
    assert failed.value.code == "STORE_FULL" and "are reserved" in str(failed.value)


def test_the_reserve_of_inodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SimpleNamespace(f_bavail=900_000, f_blocks=1_000_000, f_frsize=4_096, f_files=1_000_000, f_favail=9_000)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    # A tenth of the disk, of whose inodes a hundredth is kept free then.
    store = ArtifactStore(tmp_path, reserve_bytes=409_600_000)
    with pytest.raises(StageError) as failed:
        store.put("acme", BYTES, {"mime": "text/plain"})
    assert failed.value.code == "STORE_FULL" and "9000 inodes" in str(failed.value)
    disk.f_files = 0  # the file system has no fixed number
    store.put("acme", BYTES, {"mime": "text/plain"})


def test_a_folder_that_cannot_be_made_is_named_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StageError) as failed:
        ArtifactStore(tmp_path / "file" / "store")
    assert code_of(failed) == ("STORE_UNAVAILABLE", True) and str(tmp_path) not in str(failed.value)


def test_reading_counts_as_use_once_a_day(artifacts: Artifacts, store: ArtifactStore) -> None:
    written = artifacts.write(BYTES, "text/plain")
    file = store.root / "acme" / SHA[:2] / SHA
    for age, touched in ((3_600, False), (25 * 3_600, True)):
        then = time.time() - age
        os.utime(file, (then, then))
        artifacts.read(written)
        assert (file.stat().st_mtime > then + 60) is touched


def test_what_dead_processes_left_is_removed_a_day_later(store: ArtifactStore) -> None:
    old, new = store.root / ".incoming" / "old", store.root / ".incoming" / "new"
    for file in (old, new):
        file.write_bytes(BYTES)
    then = time.time() - 25 * 3_600
    os.utime(old, (then, then))
    ArtifactStore(store.root)
    assert not old.exists() and new.exists()


@pytest.mark.parametrize("type", ["", "PNG", "image/PNG", "image/png; q=1", "a/b/c", "image/png\r\nx: y"])
def test_a_type_that_is_none(artifacts: Artifacts, type: str) -> None:
    with pytest.raises(StageError) as failed:
        artifacts.write(BYTES, type)
    assert code_of(failed) == ("INVALID_MEDIA", False)


def test_an_image_that_is_none(artifacts: Artifacts) -> None:
    with pytest.raises(StageError, match="not image/png"):
        artifacts.write(BYTES, "image/png")
