"""Calls of stages that are cancelled, while they run and before."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import millrace
from calls import Env, Made, Number, call
from millrace import ArtifactStore, Context
from millrace._serve import Server


def cancelled_in(server: Server, stage: Any, begun: threading.Event, most: float) -> float:
    """Cancels a call that has begun, and returns how long its end took: at best in three tries, for a machine may stand still."""

    async def main() -> float:
        env = Env()
        begun.clear()
        running = asyncio.create_task(call(server, stage, {"n": 1}, env))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        began = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return time.monotonic() - began

    took = most
    for _ in range(3):
        took = asyncio.run(main())
        if took < most:
            break
    return took


def test_cancellation_reaches_a_function_in_a_thread(server: Server) -> None:
    begun, ended = threading.Event(), threading.Event()

    @millrace.stage
    def polls(input: Number, ctx: Context) -> Made:
        begun.set()
        while not ctx.cancelled:
            time.sleep(0.01)
        ended.set()
        return Made(n=1)

    assert cancelled_in(server, polls, begun, 0.5) < 0.5
    assert ended.is_set()


def test_cancellation_interrupts_an_async_function(server: Server) -> None:
    begun = threading.Event()
    seen: list[bool] = []

    @millrace.stage
    async def waits(input: Number, ctx: Context) -> Made:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(ctx.cancelled)
        return Made(n=1)

    assert cancelled_in(server, waits, begun, 0.5) < 0.5
    assert seen and all(seen)


def test_cancellation_interrupts_an_async_function_in_a_wrapper(server: Server) -> None:
    begun, interrupted = threading.Event(), threading.Event()

    async def waits(input: Number, ctx: Context) -> Made:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            interrupted.set()
        return Made(n=1)

    @functools.wraps(waits)
    def logged(input: Number, ctx: Context) -> Any:
        return waits(input, ctx)

    async def main() -> None:
        running = asyncio.create_task(call(server, millrace.stage(logged), {"n": 1}))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        # Before the loop ends, which would interrupt it too.
        for _ in range(3_000):
            if interrupted.is_set():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it goes on")

    asyncio.run(main())


def test_a_function_that_ignores_its_cancellation_does_not_hold_the_run(server: Server) -> None:
    begun, measured = threading.Event(), threading.Event()

    @millrace.stage
    def deaf(input: Number, ctx: Context) -> Made:
        begun.set()
        measured.wait(60)
        ctx.save("too late")
        return Made(n=1)

    took = cancelled_in(server, deaf, begun, 1.6)
    measured.set()
    assert 0.9 < took < 1.6


def test_a_call_that_waits_for_others_sends_heartbeats_and_can_be_cancelled(store: ArtifactStore) -> None:
    ran: list[int] = []
    cancelled = asyncio.Event()

    @millrace.stage
    async def waits(input: Number, ctx: Context) -> Made:
        ran.append(input.n)
        await cancelled.wait()
        return Made(n=1)

    async def main(server: Server) -> Env:
        env = Env()
        first = asyncio.create_task(call(server, waits, {"n": 1}))
        waiting = asyncio.create_task(call(server, waits, {"n": 2}, env))
        while not (ran and env.beats):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        cancelled.set()
        await first
        await call(server, waits, {"n": 3})
        return env

    with ThreadPoolExecutor(1) as executor:
        env = asyncio.run(main(Server(store, executor, most_media_bytes=1_000, concurrency=1)))
    assert ran == [1, 3] and env.beats
