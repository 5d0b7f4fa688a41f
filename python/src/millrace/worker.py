"""A worker that serves stages."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import temporalio.worker
from temporalio.client import Client, TLSConfig
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from ._channel import RedisLog
from ._serve import HEARTBEAT_S, Server
from ._settings import read_settings
from ._slots import MOST_LEFT, Slots
from .errors import SettingError, TemporalUnavailable
from .manifest import queue_of
from .stage import Stage, stages_of
from .store import ArtifactStore

logger = logging.getLogger("millrace")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 4.0
_MOST_QUEUES = 64
"""For each, Temporal holds open polls of every worker process."""
_POLLS = 2
"""Concurrent polls of one queue: one takes the next task while the other delivers one."""


class Worker:
    """Serves stages on a task queue until it is stopped, and each version of a stage on a queue of its own.

    The address of Temporal, its namespace, TLS and API key come from the arguments, else from the variables and
    profiles of Temporal's own tools (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS…`,
    `TEMPORAL_PROFILE`), else it is the embedded server of `millrace up`. `home` is the deployment's `MILLRACE_HOME`,
    whose artifact store the worker shares. `concurrency`: calls at a time, of all queues together, by default the number
    of processors.
    `connect_timeout`: how long to try to reach Temporal, in seconds. A stage that yields, or reads streams, also needs the deployment's state
    store: `REDIS_URL`, else the embedded one.
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
        self._queues = _queues(self.stages, task_queue)
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
        # Before Temporal: what is missing is said at once.
        streams = any(stage.streams or stage.entry is not None for stage in self.stages)
        channels = RedisLog(settings.state_store, settings.redis_timeout_s) if streams else None
        client = await self._connected(options)
        if client is None:
            return
        # A function that waits for a stream, or for the readers of its own, keeps its thread, and gives up its slot.
        threads = self._concurrency + (MOST_LEFT if streams else 0)
        executor = ThreadPoolExecutor(threads, thread_name_prefix="stage")
        slots = Slots(self._concurrency)
        server = Server(
            store,
            executor,
            most_media_bytes=settings.most_media_bytes,
            concurrency=self._concurrency,
            channels=channels,
            slots=slots,
        )
        try:
            workers = [
                self._worker(client, queue, [server.activity_of(stage) for stage in stages], slots)
                for queue, stages in self._queues.items()
            ]
            async with _running(workers):
                for queue, stages in self._queues.items():
                    names = ", ".join(stage.name for stage in stages)
                    logger.info("serving %s on task queue %s of %s", names, queue, options["target_host"])
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
            if channels is not None:
                await channels.close()

    def _worker(self, client: Client, queue: str, activities: list[Any], slots: Slots) -> temporalio.worker.Worker:
        fixed = temporalio.worker.FixedSizeSlotSupplier(1)
        return temporalio.worker.Worker(
            client,
            task_queue=queue,
            activities=activities,
            max_concurrent_activity_task_polls=_POLLS,
            tuner=temporalio.worker.WorkerTuner.create_composite(
                workflow_supplier=fixed,
                activity_supplier=slots.supplier(),
                local_activity_supplier=fixed,
                nexus_supplier=fixed,
            ),
            graceful_shutdown_timeout=timedelta(seconds=self._settings.grace_s),
            # Cancellations arrive with heartbeats, so these must not be held back.
            max_heartbeat_throttle_interval=timedelta(seconds=0.9 * HEARTBEAT_S),
        )

    def stop(self) -> None:
        """Ends `run`."""
        self._stopping.set()

    def _options(self) -> dict[str, Any]:
        """How to connect: the arguments before the environment before the embedded server."""
        # An empty or blank variable counts as unset.
        env = {name: value for name, value in os.environ.items() if value.strip()}
        # As everywhere in Millrace: a profile for other tools does not redirect a worker.
        no_file = not (env.get("TEMPORAL_CONFIG_FILE") or env.get("TEMPORAL_PROFILE"))
        try:
            found = dict(ClientConfig.load_client_connect_config(disable_file=no_file, override_env_vars=env))
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


@asynccontextmanager
async def _running(workers: list[temporalio.worker.Worker]) -> AsyncIterator[None]:
    async with AsyncExitStack() as started:
        for worker in workers:
            await started.enter_async_context(worker)
        try:
            yield
        finally:
            # All at once: one after the other, the calls of each queue would have a grace of their own.
            await asyncio.gather(*(worker.shutdown() for worker in workers))


def _queues(stages: list[Stage[Any, Any]], queue: str) -> dict[str, list[Stage[Any, Any]]]:
    """The stages of each task queue: all on the common one, and each on those of the versions that it serves."""
    found = {queue: stages}
    for stage in stages:
        for version in (*(() if stage.version is None else (stage.version,)), *stage.compatible):
            found[queue_of(queue, stage.name, version)] = [stage]
    if len(found) > _MOST_QUEUES:
        raise SettingError(
            f"the versions of the stages need {len(found)} task queues, more than {_MOST_QUEUES}; "
            "remove old ones from `compatible`, or serve the stages by several workers with queues of their own"
        )
    return found


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
