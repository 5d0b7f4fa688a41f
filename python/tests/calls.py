"""Calls of stages in Temporal's own test environment: no server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from millrace import Artifact
from millrace._serve import Server

CALL = {
    "protocol": 1,
    "run": "run-1",
    "pipeline": "p",
    "stage": "count",
    "path": "each[2]/count",
    "tenant": "acme",
    "idempotencyKey": "run-1/each[2]/count",
    "later": "unknown fields are of later releases",
}


class Number(BaseModel):
    n: int


class Made(BaseModel):
    n: float
    file: Artifact | None = None


class Env(ActivityEnvironment):
    """Keeps the details of heartbeats."""

    def __init__(self, **info: Any) -> None:
        super().__init__()
        fresh = {"schedule_to_close_timeout": None, "current_attempt_scheduled_time": datetime.now(timezone.utc)}
        self.info = replace(self.info, **{**fresh, **info})
        self.beats: list[Any] = []
        self.on_heartbeat = lambda *details: self.beats.append(details[0])


async def call(server: Server, stage: Any, input: Any, env: Env | None = None, call: Any = CALL) -> Any:
    return await (env or Env()).run(server.activity_of(stage), input, call)


def run(server: Server, stage: Any, input: Any, env: Env | None = None, sent: Any = CALL) -> Any:
    return asyncio.run(call(server, stage, input, env, sent))


def failure(server: Server, stage: Any, input: Any, sent: Any = CALL, env: Env | None = None) -> ApplicationError:
    with pytest.raises(ApplicationError) as failed:
        run(server, stage, input, env, sent)
    return failed.value
