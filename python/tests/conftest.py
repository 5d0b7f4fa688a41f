"""What the tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millrace import Artifacts, ArtifactStore
from millrace._serve import Server


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def artifacts(store: ArtifactStore) -> Artifacts:
    return Artifacts(store, "acme")


@pytest.fixture
def server(store: ArtifactStore) -> Iterator[Server]:
    executor = ThreadPoolExecutor(4)
    yield Server(store, executor, most_media_bytes=1_000, concurrency=4)
    executor.shutdown(wait=False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes the end of each test to the file that PYTEST_REPORT names, for the suite of the whole project."""
    file = os.environ.get("PYTEST_REPORT")
    if file is None or (report.passed and report.when != "call"):
        return
    end = {"name": report.nodeid, "outcome": report.outcome, "text": report.longreprtext}
    with open(file, "a", encoding="utf-8") as out:
        out.write(f"{json.dumps(end)}\n")
