"""The built package, installed into an environment that has nothing else of this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from test_worker import STAGES

SOURCES = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = "import sys; from hatchling import build as b; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=SOURCES, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the packages of an empty environment."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    [found] = (folder / "lib").glob("python*/site-packages")
    # Dependencies and the build backend come from the environment of the tests, so that no index is needed.
    (found / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return found


@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_built_package_runs_the_manifest_command(dist: Path, packages: Path, tmp_path: Path, kind: str) -> None:
    [built] = dist.glob(kind)
    python = packages.parents[2] / "bin" / "python"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        ended = subprocess.run([python, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    run("-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall", str(built))
    run("-m", "pip", "check")
    (tmp_path / "stages.py").write_text(STAGES)
    made = json.loads(run("-m", "millrace", "manifest", "stages", "--queue", "loud"))
    assert made["queue"] == "loud" and [stage["type"] for stage in made["stages"]] == ["shout"]
    where = run("-c", "import millrace, importlib.metadata as m; print(millrace.__file__, m.version('millrace'))")
    assert where.startswith(str(packages)) and where.split()[1] == "0.3.0"
    assert (packages / "millrace" / "py.typed").exists()


def test_the_version_and_the_licence_are_those_of_the_project() -> None:
    import millrace

    assert f'version = "{millrace.__version__}"' in (SOURCES / "pyproject.toml").read_text()
    assert (SOURCES / "LICENSE").read_text() == (SOURCES.parent / "LICENSE").read_text()


def test_every_public_name_is_documented() -> None:
    import inspect

    import millrace

    for name in millrace.__all__:
        value = getattr(millrace, name)
        assert value.__doc__, name
        if not inspect.isclass(value) or not value.__module__.startswith("millrace"):
            continue
        for member, found in vars(value).items():
            if callable(found) and not member.startswith("_"):
                assert found.__doc__, f"{name}.{member}"


def test_types_are_strict() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", os.devnull], cwd=SOURCES, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout
