"""Runs, their events and errors as a gateway tells them."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .errors import FieldError

UNREACHABLE = "GATEWAY_UNAVAILABLE"


class Run(BaseModel):
    """A run as the gateway shows it. Fields that this class does not name are kept, under their names in JSON."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    id: str
    pipeline: str
    version: str
    tenant: str
    status: str
    """`running`, `succeeded`, `failed` or `cancelled`"""
    created_at: str = Field(alias="createdAt")
    ended_at: str | None = Field(default=None, alias="endedAt")
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    """The pipeline's output, if the run succeeded; each artifact with the `href` of its bytes."""
    stages: list[dict[str, Any]] | None = None
    """The table of stages: which endpoint, which attempt, how long."""
    waiting: list[dict[str, Any]] | None = None
    """Open waits for a decision, each with its `nonce`."""
    error: dict[str, Any] | None = None
    """`code`, `message`, and if known `stage` and `fields`, unless the run succeeded."""
    links: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An event of a run. The last one has the type `run`, and `run` set."""

    id: str
    """Where to continue: `events(run, after=event.id)`."""
    type: str
    """`stage.started`, `stage.delta`, `stage.finished`, …, `run`"""
    data: dict[str, Any]
    run: Run | None = None


@dataclass(eq=False)
class MillraceApiError(Exception):
    """An error response of the gateway, a run that did not succeed, or a gateway that does not answer."""

    code: str
    """A code of Millrace's error table; branch on this. `GATEWAY_UNAVAILABLE` without a response."""
    message: str
    fields: Sequence[FieldError] = ()
    """The invalid fields or headers."""
    status: int = 0
    """The HTTP status; 0 without a response."""
    run: Run | None = None
    """The run, if the error is that of a run."""
    request_id: str | None = None
    """Identifies the request in the gateway's log."""
    retry_after: float | None = field(default=None)
    """Time that the gateway asks to wait before a retry, in seconds."""

    def __str__(self) -> str:
        """Code and message."""
        return f"{self.code}: {self.message}"


def error_of(error: urllib.error.HTTPError) -> MillraceApiError:
    """The error of a response."""
    try:
        found = json.loads(error.read())
    except (ValueError, OSError, HTTPException):
        found = {}
    problem: dict[str, Any] = found if isinstance(found, dict) else {}
    try:
        retry_after = float(error.headers.get("Retry-After", ""))
    except ValueError:
        retry_after = None
    run = problem.get("run")
    return MillraceApiError(
        problem.get("code", UNREACHABLE),
        problem.get("detail", f"the gateway responded with status {error.code}"),
        problem.get("errors", ()),
        status=error.code,
        run=None if run is None else Run.model_validate(run),
        request_id=problem.get("requestId"),
        retry_after=retry_after,
    )


def failure_of(run: Run) -> MillraceApiError:
    """The error of a run that has ended without success."""
    error = run.error or {}
    message = error.get("message", f"the run {run.status}")
    return MillraceApiError(error.get("code", "RUN_FAILED"), message, error.get("fields", ()), run=run)
