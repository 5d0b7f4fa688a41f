"""Stages as activities, in Temporal's own test environment: no server."""

from __future__ import annotations

import asyncio
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.service import RPCError, RPCStatusCode

import millrace
from calls import CALL, Env, Made, Number, call, failure, run
from millrace import ArtifactStore, Context, StageError, _serve
from millrace._serve import Server


def test_input_output_and_usage(server: Server) -> None:
    @millrace.stage
    def count(input: Number, ctx: Context) -> Made:
        ctx.usage(input_tokens=input.n)
        return Made(n=input.n / 2)

    assert run(server, count, {"n": 3}) == {"output": {"n": 1.5, "file": None}, "usage": {"inputTokens": 3}}


def test_what_the_context_says(server: Server) -> None:
    seen: list[Context] = []

    @millrace.stage
    async def look(input: Number, ctx: Context) -> Made:
        seen.append(ctx)
        return Made(n=1)

    env = Env(attempt=3, heartbeat_details=[{"progress": [1]}], start_to_close_timeout=timedelta(seconds=60))
    assert run(server, look, {"n": 1}, env) == {"output": {"n": 1, "file": None}}
    [ctx] = seen
    assert (ctx.run, ctx.pipeline, ctx.stage, ctx.path) == ("run-1", "p", "count", "each[2]/count")
    assert (ctx.tenant, ctx.attempt, ctx.idempotency_key) == ("acme", 3, "run-1/each[2]/count")
    assert (ctx.progress, ctx.cancelled, ctx.priority) == ([1], False, None)
    assert ctx.deadline == env.info.started_time + timedelta(seconds=60)
    sent = {**CALL, "deadlineMs": 5_000, "priority": "interactive"}
    run(server, look, {"n": 1}, env, sent)
    assert seen[1].deadline == env.info.scheduled_time + timedelta(seconds=5) and seen[1].priority == "interactive"


def test_artifacts_are_those_of_the_tenant_and_without_what_is_unknown(server: Server, store: ArtifactStore) -> None:
    @millrace.stage
    def keep(input: Number, ctx: Context) -> Made:
        return Made(n=1, file=ctx.artifacts.write(b"x" * input.n, "text/plain"))

    made = run(server, keep, {"n": 10})["output"]["file"]
    assert sorted(made) == ["bytes", "mime", "sha256", "uri"] and made["uri"].startswith("artifact://acme/")
    assert store.read("acme", made["uri"], 100) == b"x" * 10
    assert failure(server, keep, {"n": 1_001}).type == "OUTPUT_BUDGET_EXCEEDED"


def test_input_that_does_not_fit(server: Server) -> None:
    @millrace.stage
    def never(input: Number) -> Made:
        raise AssertionError

    failed = failure(server, never, {"n": "many"})
    assert (failed.type, failed.non_retryable) == ("INVALID_INPUT", True)
    assert failed.details[0]["stage"] == "never" and failed.details[0]["fields"][0]["field"] == "n"
    assert str(failed).startswith('INVALID_INPUT: the input of stage "count": n: ')


@pytest.mark.parametrize("sent", [None, {}, {**CALL, "run": 7}])
def test_a_caller_that_does_not_speak_the_protocol(server: Server, sent: Any) -> None:
    @millrace.stage
    def never(input: Number) -> Made:
        raise AssertionError

    failed = failure(server, never, {"n": 1}, sent)
    assert failed.type == "INVALID_INPUT" and 'protocol: "millrace"' in str(failed)
    assert failure(server, never, {"n": 1}, {**CALL, "protocol": 2}).type == "UNKNOWN_PLAN_VERSION"


class Wrong(Exception):
    pass


@pytest.mark.parametrize(
    ("value", "field"),
    [({"n": "many"}, "n"), ({}, "n"), (7, "body"), (None, "body"), (Made.model_construct(n="many"), None)],
)
def test_output_that_does_not_fit(server: Server, value: Any, field: str | None) -> None:
    @millrace.stage
    def wrong(input: Number) -> Made:
        return value  # type: ignore[no-any-return]

    failed = failure(server, wrong, {"n": 1})
    # A model may answer differently the next time.
    assert (failed.type, failed.non_retryable) == ("INVALID_OUTPUT", False)
    if field is not None:
        assert failed.details[0]["fields"][0]["field"] == field


def test_a_number_that_json_does_not_have_and_a_result_that_no_history_holds(server: Server) -> None:
    class Texts(BaseModel):
        text: str

    @millrace.stage
    def nan(input: Number) -> Made:
        return Made(n=float("nan"))

    globals()["Texts"] = Texts

    def much(input: Number) -> Texts:
        return Texts(text="x" * 1_600_000)

    failed = failure(server, nan, {"n": 1})
    assert failed.type == "INVALID_OUTPUT" and failed.details[0]["fields"][0]["field"] == "n"
    failed = failure(server, millrace.stage(much), {"n": 1})
    assert (failed.type, failed.non_retryable) == ("RESULT_TOO_LARGE", True)
    assert failed.details[0]["fields"][0]["field"] == "text"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StageError("BACKEND_REJECTED", "no"), ("BACKEND_REJECTED", True)),
        (StageError("BACKEND_REJECTED", "no", retryable=True), ("BACKEND_REJECTED", False)),
        (StageError("BACKEND_TIMEOUT", "late"), ("BACKEND_TIMEOUT", False)),
        (StageError("NO_SUCH_VOICE", "no", retryable=False), ("NO_SUCH_VOICE", True)),
    ],
)
def test_failures_with_a_code(server: Server, error: StageError, expected: tuple[str, bool]) -> None:
    @millrace.stage
    async def fails(input: Number) -> Made:
        raise error

    failed = failure(server, fails, {"n": 1})
    assert (failed.type, failed.non_retryable) == expected


def test_other_errors_go_through_as_they_are(server: Server) -> None:
    @millrace.stage
    def fails(input: Number) -> Made:
        raise Wrong("this is wrong")

    with pytest.raises(Wrong, match="this is wrong"):
        run(server, fails, {"n": 1})


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (SystemExit(2), r"the function has called sys\.exit\(2\)"),
        (KeyboardInterrupt(), "the function has raised KeyboardInterrupt"),
        (StopIteration(), "the function has raised StopIteration"),
        (asyncio.CancelledError(), "the function has raised CancelledError"),
    ],
)
def test_what_would_end_more_than_a_call_is_its_failure(server: Server, raised: BaseException, said: str) -> None:
    @millrace.stage
    def leaves(input: Number) -> Made:
        raise raised

    with pytest.raises(RuntimeError, match=said):
        run(server, leaves, {"n": 1})


def test_an_async_function_does_not_end_its_worker(server: Server) -> None:
    @millrace.stage
    async def leaves(input: Number) -> Made:
        raise SystemExit("usage: leaves [-h]")

    with pytest.raises(RuntimeError, match="has called sys.exit"):
        run(server, leaves, {"n": 1})


def test_heartbeats_while_a_function_holds_its_thread_and_progress_soon(server: Server) -> None:
    env = Env(heartbeat_details=[{"progress": {"done": 0}}])
    saved = {"progress": {"done": 1}}

    @millrace.stage
    def slow(input: Number, ctx: Context) -> Made:
        time.sleep(0.3)
        ctx.save({"done": 1})
        time.sleep(1.5)
        # A machine that stands still ends the sleep before the heartbeats that were due.
        end = time.monotonic() + 20
        while time.monotonic() < end and (saved not in env.beats or len(env.beats) < 3):
            time.sleep(0.01)
        return Made(n=1)

    run(server, slow, {"n": 1}, env)
    assert env.beats[0] == {"progress": {"done": 0}}  # not erased
    assert saved in env.beats and 3 <= len(env.beats) <= 5


def test_a_failure_carries_what_was_saved_last(server: Server) -> None:
    @millrace.stage
    def fails(input: Number, ctx: Context) -> Made:
        for done in range(1_000):
            ctx.save(done)
        raise StageError("BACKEND_ERROR", "broken")

    env = Env()
    failure(server, fails, {"n": 1}, env=env)
    assert env.beats[-1] == {"progress": 999} and len(env.beats) < 10


def versions(begun: list[str], seen: list[int]) -> list[Any]:
    """Two versions of a stage, one of them in a thread, that write down how many run."""

    @millrace.stage(version="1")
    async def one(input: Number, ctx: Context) -> Made:
        begun.append("1")
        seen.append(len(begun))
        await asyncio.sleep(0.05)
        begun.remove("1")
        return Made(n=1)

    @millrace.stage(version="2")
    def two(input: Number, ctx: Context) -> Made:
        begun.append("2")
        seen.append(len(begun))
        time.sleep(0.05)
        begun.remove("2")
        return Made(n=2)

    return [one, two]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_concurrency_is_a_limit_over_all_stages(store: ArtifactStore, concurrency: int) -> None:
    seen: list[int] = []
    stages = versions([], seen)

    async def main(server: Server) -> list[Any]:
        return await asyncio.gather(*(call(server, stage, {"n": 1}) for stage in [*stages, *stages, *stages]))

    with ThreadPoolExecutor(4) as executor:
        server = Server(store, executor, most_media_bytes=1_000, concurrency=concurrency)
        made = asyncio.run(main(server))
    assert [each["output"]["n"] for each in made] == [1, 2, 1, 2, 1, 2]
    assert len(seen) == 6 and max(seen) == concurrency


class ScriptedTemporal:
    """In place of Temporal, which cannot be made to answer so: what it says to heartbeats, in turn."""

    def __init__(self, *answers: RPCStatusCode | None) -> None:
        self.answers = list(answers)
        self.details: list[Any] = []

    def get_async_activity_handle(self, *, task_token: bytes) -> ScriptedTemporal:
        return self

    async def heartbeat(self, *details: Any, rpc_timeout: timedelta) -> None:
        self.details.append(details)
        status = self.answers.pop(0)
        if status is not None:
            raise RPCError("scripted", status, b"")


@pytest.mark.parametrize(
    ("answers", "begins"),
    [
        ([None], True),
        ([RPCStatusCode.UNAVAILABLE, None], True),
        ([RPCStatusCode.UNAVAILABLE, RPCStatusCode.NOT_FOUND], False),
    ],
)
def test_a_late_task_begins_only_if_temporal_still_expects_its_result(
    server: Server, answers: list[RPCStatusCode | None], begins: bool
) -> None:
    begun: list[int] = []

    @millrace.stage
    def pays(input: Number, ctx: Context) -> Made:
        begun.append(1)
        return Made(n=1)

    temporal = ScriptedTemporal(*answers)
    late = datetime.now(timezone.utc) - timedelta(seconds=20)
    env = Env(current_attempt_scheduled_time=late, heartbeat_details=[{"progress": 7}])
    env._client = temporal  # type: ignore[assignment]
    if begins:
        assert run(server, pays, {"n": 1}, env)["output"]["n"] == 1
    else:
        assert failure(server, pays, {"n": 1}, env=env).type == "STAGE_TIMEOUT"
    assert len(begun) == int(begins)
    # The progress of earlier attempts is not erased by asking.
    assert temporal.details == [({"progress": 7},)] * len(answers)


def test_a_late_task_is_told_from_others_where_the_clock_is_behind(server: Server) -> None:
    begun: list[int] = []

    @millrace.stage
    def pays(input: Number, ctx: Context) -> Made:
        begun.append(1)
        return Made(n=1)

    def due(late_s: float) -> Env:
        # Six seconds behind.
        env = Env(current_attempt_scheduled_time=datetime.now(timezone.utc) + timedelta(seconds=6 - late_s))
        env._client = ScriptedTemporal(RPCStatusCode.NOT_FOUND)  # type: ignore[assignment]
        return env

    assert run(server, pays, {"n": 1}, due(0.02))["output"]["n"] == 1
    assert failure(server, pays, {"n": 1}, env=due(5.5)).type == "STAGE_TIMEOUT"
    assert begun == [1]


def test_a_call_that_has_waited_for_a_slot_begins_only_if_temporal_still_expects_its_result(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    @millrace.stage
    def pays(input: Number, ctx: Context) -> Made:
        begun.append(1)
        return Made(n=1)

    # As if each call had waited.
    monkeypatch.setattr(_serve, "FRESH_S", -1.0)
    late = datetime.now(timezone.utc) - timedelta(seconds=20)
    env = Env(current_attempt_scheduled_time=late)
    # It was expected when it came.
    env._client = ScriptedTemporal(None, RPCStatusCode.NOT_FOUND)  # type: ignore[assignment]
    assert failure(server, pays, {"n": 1}, env=env).type == "STAGE_TIMEOUT"
    assert begun == []
    env = Env(current_attempt_scheduled_time=late)
    env._client = ScriptedTemporal(None, None)  # type: ignore[assignment]
    assert run(server, pays, {"n": 1}, env)["output"]["n"] == 1
    assert begun == [1]


def test_a_wrapper_around_an_async_function_is_awaited(server: Server) -> None:
    async def half(input: Number) -> Made:
        await asyncio.sleep(0)
        return Made(n=input.n / 2)

    @functools.wraps(half)
    def logged(input: Number) -> Any:
        return half(input)

    assert run(server, millrace.stage(logged), {"n": 3})["output"]["n"] == 1.5


def test_a_wrapper_may_run_an_async_function_itself(server: Server) -> None:
    async def half(input: Number) -> Made:
        return Made(n=input.n / 2)

    @functools.wraps(half)
    def alone(input: Number) -> Any:
        return asyncio.run(half(input))

    assert run(server, millrace.stage(alone), {"n": 3})["output"]["n"] == 1.5
