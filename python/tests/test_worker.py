from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

import millrace
from millrace import SettingError, TemporalUnavailable, Worker
from millrace._settings import read_settings

STAGES = '''
import millrace
from pydantic import BaseModel

class Text(BaseModel):
    text: str

@millrace.stage
def shout(input: Text) -> Text:
    """Says it loudly."""
    return Text(text=input.text.upper())
'''


class Text(BaseModel):
    text: str


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("TEMPORAL_", "MILLRACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))


def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "stages.py").write_text(STAGES)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("import gone_for_good")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "millrace", *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
    )


def test_a_dead_temporal_is_named_within_bounds(tmp_path: Path, closed_port: int) -> None:
    began = time.monotonic()
    ended = command(tmp_path, "worker", "stages", "--address", f"127.0.0.1:{closed_port}", "--connect-timeout", "1")
    assert ended.returncode == 3, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith(f"millrace: Temporal cannot be reached at 127.0.0.1:{closed_port} (")
    assert last.endswith("start it with `millrace up`, or set TEMPORAL_ADDRESS")
    assert time.monotonic() - began < 30


def test_a_server_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(TemporalUnavailable, match="cannot be reached"):
            asyncio.run(asyncio.wait_for(Worker([], connect_timeout=1).run(), 20))


def test_sigterm_ends_a_worker_that_still_tries(tmp_path: Path, closed_port: int) -> None:
    (tmp_path / "stages.py").write_text(STAGES)
    arguments = [sys.executable, "-m", "millrace", "worker", "stages.py", "--address", f"127.0.0.1:{closed_port}"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(arguments, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr is not None
        for line in worker.stderr:
            if "does not answer" in line:
                break
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["manifest", "absent"], 'there is no module "absent" in '),
        (["manifest", "absent.py"], "there is no file absent.py"),
        (["manifest", "empty"], "empty has no stage; mark a function with @millrace.stage"),
    ],
)
def test_modules_without_stages(tmp_path: Path, arguments: list[str], message: str) -> None:
    ended = command(tmp_path, *arguments)
    assert ended.returncode == 2 and message in ended.stderr and "Traceback" not in ended.stderr


def test_an_error_of_the_users_module_keeps_its_traceback(tmp_path: Path) -> None:
    ended = command(tmp_path, "manifest", "broken")
    assert ended.returncode == 1 and "broken.py" in ended.stderr and "gone_for_good" in ended.stderr


class Queue:
    """In place of a Temporal worker, whose calls use up their grace: it ends when all others have been told to end, too."""

    def __init__(self, told: set[Queue], all_told: asyncio.Event, of: int) -> None:
        self.told, self.all_told, self.of = told, all_told, of

    async def shutdown(self) -> None:
        self.told.add(self)
        if len(self.told) == self.of:
            self.all_told.set()
        await asyncio.wait_for(self.all_told.wait(), 5)

    async def __aenter__(self) -> Queue:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()


def test_the_queues_of_all_versions_are_shut_down_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    @millrace.stage(version="2", compatible=["1"])
    def shout(input: Text) -> Text:
        return input

    async def main() -> int:
        told: set[Queue] = set()
        all_told = asyncio.Event()
        worker = Worker([shout])
        monkeypatch.setattr(worker, "_connected", lambda _: asyncio.sleep(0, object()))
        monkeypatch.setattr(worker, "_worker", lambda *_: Queue(told, all_told, 3))
        worker.stop()
        await worker.run()
        return len(told)

    assert asyncio.run(main()) == 3


def test_settings_are_checked() -> None:
    settings = read_settings({"MILLRACE_HOME": "/h", "MILLRACE_PORT_BASE": "7500", "MILLRACE_TENANT_ARTIFACT_BYTES": "0"})
    assert settings.artifacts == Path("/h/artifacts") and settings.embedded_temporal == "127.0.0.1:7502"
    assert settings.tenant_bytes is None and settings.reserve_bytes == 2**28
    with pytest.raises(SettingError, match='MILLRACE_SHUTDOWN_GRACE_MS must be a whole number, not "10s"'):
        read_settings({"MILLRACE_SHUTDOWN_GRACE_MS": "10s"})
    assert read_settings({"MILLRACE_SHUTDOWN_GRACE_MS": " ", "REDIS_URL": " "}) == read_settings({})


def test_services_of_kubernetes_are_no_settings() -> None:
    links = {"MILLRACE_REDIS_PORT": "tcp://10.0.0.11:6379", "MILLRACE_TEMPORAL_PORT": "udp://10.0.0.12:7233"}
    assert read_settings(links) == read_settings({})
    own = {**links, "MILLRACE_PORT_BASE": "7500", "MILLRACE_REDIS_PORT": "7000"}
    settings = read_settings(own)
    assert settings.embedded_temporal == "127.0.0.1:7502" and settings.state_store == "redis://127.0.0.1:7000"
    with pytest.raises(SettingError, match="MILLRACE_REDIS_PORT must be a whole number"):
        read_settings({"MILLRACE_REDIS_PORT": "redis://10.0.0.11:6379"})
    with pytest.raises(SettingError, match="MILLRACE_PORT_BASE must be a whole number"):
        read_settings({"MILLRACE_PORT_BASE": "tcp://10.0.0.11:6379"})


def test_where_temporal_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Worker([])._options()["target_host"] == "127.0.0.1:7402"
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    with pytest.raises(SettingError, match="but no server: set TEMPORAL_ADDRESS"):
        Worker([])._options()
    monkeypatch.setenv("TEMPORAL_ADDRESS", "cloud.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "speech")
    options = Worker([], namespace="text")._options()
    assert (options["target_host"], options["namespace"], options["tls"]) == ("cloud.example:7233", "text", True)
    monkeypatch.delenv("TEMPORAL_ADDRESS")
    profile = tmp_path / "temporal.toml"
    profile.write_text('[profile.default]\naddress = "profile.example:7233"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    assert Worker([])._options()["target_host"] == "profile.example:7233"
