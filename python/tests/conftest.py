"""What the tests share."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from millrace import Artifacts, ArtifactStore


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def artifacts(store: ArtifactStore) -> Artifacts:
    return Artifacts(store, "acme")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes the end of each test to the file that PYTEST_REPORT names, for the suite of the whole project."""
    file = os.environ.get("PYTEST_REPORT")
    if file is None or (report.passed and report.when != "call"):
        return
    end = {"name": report.nodeid, "outcome": report.outcome, "text": report.longreprtext}
    with open(file, "a", encoding="utf-8") as out:
        out.write(f"{json.dumps(end)}\n")
