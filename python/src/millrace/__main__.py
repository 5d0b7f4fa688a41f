"""Commands: `python -m millrace worker MODULE` and `python -m millrace manifest MODULE`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

from .errors import SettingError, TemporalUnavailable
from .manifest import manifest
from .stage import stages_of
from .worker import serve

_OK, _FAILED, _USAGE, _UNAVAILABLE = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code: 0 done, 1 failed, 2 wrong usage, 3 Temporal cannot be reached."""
    options = _parser().parse_args(arguments)
    try:
        module = _load(options.module)
        if options.command == "manifest":
            made = json.dumps(manifest(stages_of(module), options.queue), indent=2, ensure_ascii=False)
            if options.out is None:
                print(made)
            else:
                Path(options.out).write_text(f"{made}\n", encoding="utf-8")
            return _OK
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        asyncio.run(
            serve(
                module,
                task_queue=options.queue,
                address=options.address,
                namespace=options.namespace,
                home=options.home,
                concurrency=options.concurrency,
                connect_timeout=options.connect_timeout,
            )
        )
        return _OK
    except SettingError as error:
        print(f"millrace: {error}", file=sys.stderr)
        return _USAGE
    except TemporalUnavailable as error:
        print(f"millrace: {error}", file=sys.stderr)
        return _UNAVAILABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m millrace", description="Python stages of Millrace pipelines.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("module", help="module with the stages: its name, or a .py file")
    common.add_argument("--queue", default="python", help="Temporal task queue (default: python)")
    worker = commands.add_parser("worker", parents=[common], help="serve the stages until SIGTERM")
    worker.add_argument("--address", help="host:port of Temporal (default: TEMPORAL_ADDRESS, else the embedded one)")
    worker.add_argument("--namespace", help="Temporal namespace (default: TEMPORAL_NAMESPACE, else default)")
    worker.add_argument("--home", help="folder of the deployment (default: MILLRACE_HOME, else .millrace)")
    worker.add_argument("--concurrency", type=int, help="calls at a time (default: the number of processors)")
    worker.add_argument("--connect-timeout", type=float, default=30.0, help="seconds to try to reach Temporal")
    made = commands.add_parser("manifest", parents=[common], help="print what `millrace types` needs")
    made.add_argument("--out", help="write it to this file")
    return parser


def _load(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    if not name.endswith(".py"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A module that the stages' module lacks is an error of that module, with its traceback.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise SettingError(f'there is no module "{name}" in {os.getcwd()} or on the Python path') from error
    file = Path(name)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise SettingError(f"there is no file {name}")
    module = importlib.util.module_from_spec(spec)
    # Pydantic looks up the names of types there.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without waiting for the threads of functions that were cancelled and still run.
    os._exit(status)
