"""A worker that serves stages."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import ModuleType
from typing import Any

import temporalio.worker
from temporalio.client import Client, TLSConfig
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from ._serve import HEARTBEAT_S, Server
from ._settings import read_settings
from .errors import SettingError, TemporalUnavailable
from .stage import Stage, stages_of
from .store import ArtifactStore

logger = logging.getLogger("millrace")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 4.0


class Worker:
    """Serves stages on a task queue until it is stopped.

    The address of Temporal, its namespace, TLS and API key come from the arguments, else from the variables and
    profiles of Temporal's own tools (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS…`,
    `TEMPORAL_PROFILE`), else it is the embedded server of `millrace up`. `home` is the deployment's `MILLRACE_HOME`,
    whose artifact store the worker shares. `concurrency`: calls at a time, by default the number of processors.
    `connect_timeout`: how long to try to reach Temporal, in seconds.
    """

    def __init__(
        self,
        stages: Iterable[Stage[Any, Any]],
        *,
        task_queue: str = "python",
        address: str | None = None,
        namespace: str | None = None,
        api_key: str | None = None,
        tls: bool | TLSConfig | None = None,
        home: str | None = None,
        concurrency: int | None = None,
        connect_timeout: float = 30.0,
    ) -> None:
        self.stages = list(stages)
        self.task_queue = task_queue
        self._given = {"target_host": address, "namespace": namespace, "api_key": api_key, "tls": tls}
        self._settings = read_settings(home=home)
        self._concurrency = concurrency or os.cpu_count() or 1
        self._connect_timeout = connect_timeout
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serves until `stop` is called; calls in progress then have `MILLRACE_SHUTDOWN_GRACE_MS` to end.

        Raises `TemporalUnavailable` if Temporal does not answer within `connect_timeout`, and `SettingError`.
        """
        settings = self._settings
        store = ArtifactStore(
            settings.artifacts, tenant_bytes=settings.tenant_bytes, reserve_bytes=settings.reserve_bytes
        )
        options = self._options()
        client = await self._connected(options)
        if client is None:
            return
        executor = ThreadPoolExecutor(self._concurrency, thread_name_prefix="stage")
        server = Server(store, executor, most_media_bytes=settings.most_media_bytes)
        worker = temporalio.worker.Worker(
            client,
            task_queue=self.task_queue,
            activities=[server.activity_of(stage) for stage in self.stages],
            max_concurrent_activities=self._concurrency,
            graceful_shutdown_timeout=timedelta(seconds=settings.grace_s),
            # Cancellations arrive with heartbeats, so these must not be held back.
            max_heartbeat_throttle_interval=timedelta(seconds=0.9 * HEARTBEAT_S),
        )
        names = ", ".join(stage.name for stage in self.stages)
        try:
            async with worker:
                logger.info("serving %s on task queue %s of %s", names, self.task_queue, options["target_host"])
                await self._stopping.wait()
                logger.info("stopping: calls in progress have %g s to end", settings.grace_s)
        except RuntimeError as error:
            namespace = options.get("namespace") or "default"
            if "NamespaceNotFound" not in str(error):
                raise
            raise SettingError(
                f'Temporal at {options["target_host"]} has no namespace "{namespace}"; create it, or set TEMPORAL_NAMESPACE'
            ) from error
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """Ends `run`."""
        self._stopping.set()

    def _options(self) -> dict[str, Any]:
        """How to connect: the arguments before the environment before the embedded server."""
        env = os.environ
        # As everywhere in Millrace: a profile for other tools does not redirect a worker.
        no_file = not (env.get("TEMPORAL_CONFIG_FILE") or env.get("TEMPORAL_PROFILE"))
        # An empty variable counts as unset.
        set_ones = {name: value for name, value in env.items() if value}
        try:
            found = dict(ClientConfig.load_client_connect_config(disable_file=no_file, override_env_vars=set_ones))
        except (RuntimeError, ValueError) as error:
            raise SettingError(f"Temporal's variables or profile: {error}") from error
        options = {**found, **{name: value for name, value in self._given.items() if value is not None}}
        if "target_host" not in options:
            if options.get("tls") or options.get("api_key"):
                raise SettingError(
                    "TLS or an API key for Temporal is set, but no server: set TEMPORAL_ADDRESS, "
                    "or unset TEMPORAL_API_KEY and TEMPORAL_TLS…"
                )
            options["target_host"] = self._settings.embedded_temporal
        if options.get("api_key"):
            # A key is never sent in plain text unless that is asked for.
            options.setdefault("tls", True)
        return options

    async def _connected(self, options: dict[str, Any]) -> Client | None:
        """A client, after as many tries as the time allows; None if the worker is stopped meanwhile."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._connect_timeout
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                return await asyncio.wait_for(Client.connect(**options), max(0.1, end - loop.time()))
            except (RuntimeError, RPCError, OSError, asyncio.TimeoutError) as error:
                reason = str(error) or "no answer"
                if loop.time() + pause >= end:
                    raise TemporalUnavailable(
                        f"Temporal cannot be reached at {options['target_host']} ({reason}); "
                        "start it with `millrace up`, or set TEMPORAL_ADDRESS"
                    ) from error
                logger.warning("Temporal does not answer at %s; next try in %g s", options["target_host"], pause)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except asyncio.TimeoutError:
                pass
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return None


async def serve(module: ModuleType, **options: Any) -> None:
    """Serves all stages of a module until the process is told to end (SIGTERM, SIGINT); `options` as for `Worker`."""
    worker = Worker(stages_of(module), **options)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, worker.stop)
    try:
        await worker.run()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
