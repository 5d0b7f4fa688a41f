"""What a stage knows of the call that it carries out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, SupportsInt

from ._json import check_json
from ._moment import now
from ._whole import whole
from .artifacts import Artifacts
from .errors import StageError

_MOST_PROGRESS_BYTES = 262_144
"""It is sent to Temporal with every heartbeat."""


@dataclass(frozen=True)
class Resume:
    """Behind what a stage that yields goes on."""

    count: int
    """Number of the entries that earlier attempts have committed."""
    last: Any
    """The last one of them, as JSON."""


class Context:
    """The call that a stage carries out: who it is for, what an earlier attempt has left, and its media.

    A test may make one: `Context(artifacts=Artifacts(ArtifactStore(folder)))`.
    """

    def __init__(
        self,
        *,
        run: str = "run",
        pipeline: str = "pipeline",
        stage: str = "stage",
        path: str | None = None,
        tenant: str = "default",
        attempt: int = 1,
        idempotency_key: str | None = None,
        deadline: datetime | None = None,
        priority: str | None = None,
        progress: Any = None,
        resume_from: Resume | None = None,
        artifacts: Artifacts | None = None,
        on_save: Callable[[], None] = lambda: None,
    ) -> None:
        self.run = run
        """Id of the run."""
        self.pipeline = pipeline
        """Name of the pipeline."""
        self.stage = stage
        """Id of the stage in the pipeline."""
        self.path = stage if path is None else path
        """The stage with its enclosing items and rounds: `chunks[3]/denoise`."""
        self.tenant = tenant
        """Tenant of the run."""
        self.attempt = attempt
        """1 for the first attempt."""
        self.idempotency_key = f"{run}/{self.path}" if idempotency_key is None else idempotency_key
        """The same in every attempt of this stage in this run, so that a called service can drop repeats."""
        self.deadline = deadline
        """When this attempt must have ended; None without a limit."""
        self.priority = priority
        """Priority of the run: `interactive`, `default` or `batch`; None if it is not known."""
        self._progress = progress
        self._resume: Callable[[], Resume | None] = lambda: resume_from
        self._artifacts = artifacts
        self._on_save = on_save
        # An earlier attempt may have committed entries of what it yields.
        self._again = False
        # This one does not: the state store is away.
        self._unstreamed = False
        # It opens no stream of a run that was erased since.
        self._begun = now()
        self._cancelled = threading.Event()
        self._usage: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def artifacts(self) -> Artifacts:
        """Media of the run's tenant."""
        if self._artifacts is None:
            raise RuntimeError("this context has no artifact store; pass artifacts=Artifacts(ArtifactStore(folder))")
        return self._artifacts

    @property
    def progress(self) -> Any:
        """What this attempt, or one before it whose worker was lost, saved last; None if nothing was saved."""
        return self._progress

    def save(self, progress: Any) -> None:
        """Saves JSON from which a later attempt continues; it replaces what was saved before.

        It reaches Temporal within a second: a worker killed earlier loses it. Raises `RESULT_TOO_LARGE` above 256 KiB:
        save media as artifacts, and their addresses here.
        """
        text = check_json(progress, "progress")
        if len(text) > _MOST_PROGRESS_BYTES:
            message = f"the progress has {len(text)} bytes as JSON, more than {_MOST_PROGRESS_BYTES}"
            raise StageError("RESULT_TOO_LARGE", message)
        # A copy: the caller may change its value while it is being sent.
        self._progress = json.loads(text)
        self._on_save()

    @property
    def resume_from(self) -> Resume | None:
        """Of a stage that yields: what earlier attempts have committed; None if nothing is.

        A stage that reads this goes on behind it: it yields what follows. One that does not begins anew, and what it yields
        again is dropped; anything else ends it with `STREAM_CUT`.
        """
        return self._resume()

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer wanted: the run was cancelled, a timeout has passed, or the worker stops.

        A stage that is no `async` function checks this in its loops and returns; what it returns is dropped. An `async`
        stage is interrupted by `asyncio.CancelledError`.
        """
        return self._cancelled.is_set()

    def usage(self, *, input_tokens: SupportsInt = 0, output_tokens: SupportsInt = 0) -> None:
        """Adds tokens to the stage's usage, which the run's table of stages shows.

        Whole numbers of any type, also NumPy's. Raises `ValueError` for others, and for negative ones, and adds nothing.
        """
        added = {"inputTokens": whole(input_tokens), "outputTokens": whole(output_tokens)}
        for name, tokens in added.items():
            if tokens < 0:
                raise ValueError(f"{name} must not be negative")
        with self._lock:
            for name, tokens in added.items():
                if tokens:
                    self._usage[name] = self._usage.get(name, 0) + tokens
