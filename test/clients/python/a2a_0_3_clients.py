"""A2A's own client of version 0.3 against a gateway: python a2a_0_3_clients.py URL. In a venv of its own."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types import (
    DataPart,
    FilePart,
    FileWithBytes,
    Message,
    Part,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskIdParams,
    TaskQueryParams,
    TaskState,
    TextPart,
)

URL = sys.argv[1]
LONGEST_S = 60
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}'
PAY = 'CALL pay {"invoice":"7"}'


def message(parts: list[Any], **of: str) -> Message:
    return Message(message_id=str(uuid.uuid4()), role=Role.user, parts=[Part(root=part) for part in parts], **of)


def told(text: str) -> Message:
    return message([TextPart(text=text)])


def answer(task: Task) -> str:
    return next(each for each in task.artifacts or [] if each.artifact_id == "answer").parts[0].root.text


async def task_of(client: Client, sent: Message) -> Task:
    """The last state of the task that the client tells."""
    task = None
    async for event in client.send_message(sent):
        task = event[0]
    if task is None:
        raise RuntimeError("no task")
    return task


async def growing(events: AsyncIterator[Any]) -> str:
    text = ""
    async for _, update in events:
        if isinstance(update, TaskArtifactUpdateEvent) and update.artifact.artifact_id == "answer":
            text = (text if update.append else "") + update.artifact.parts[0].root.text
    return text


def decision(task: Task) -> Message:
    parts = task.status.message.parts if task.status.message else []
    asked = next(part.root.data for part in parts if isinstance(part.root, DataPart))
    data = DataPart(data={"nonce": asked["nonce"], "approved": True})
    return message([data], task_id=task.id, context_id=task.context_id)


async def main() -> None:
    http = httpx.AsyncClient(timeout=LONGEST_S)

    async def client_of(name: str, streaming: bool, polling: bool = False) -> Client:
        card = await A2ACardResolver(httpx_client=http, base_url=f"{URL}/a2a/{name}").get_agent_card()
        config = ClientConfig(httpx_client=http, streaming=streaming, polling=polling)
        return ClientFactory(config).create(card)

    full, desk = await client_of("full", False), await client_of("desk", False)
    full_stream, desk_stream = await client_of("full", True), await client_of("desk", True)
    desk_polls = await client_of("desk", False, True)

    async def said(client: Client, sent: Message) -> str:
        return answer(await task_of(client, sent))

    async def second() -> str:
        first = await task_of(full, told("hello"))
        return await said(full, message([TextPart(text="again")], context_id=first.context_id))

    async def until(task_id: str, state: TaskState) -> Task:
        while True:
            task = await desk.get_task(TaskQueryParams(id=task_id))
            if task.status.state == state:
                return task
            await asyncio.sleep(0.1)

    async def background() -> str:
        task = await task_of(desk_polls, told(TWO))
        return answer(await until(task.id, TaskState.completed))

    async def lost() -> str:
        task_id = ""
        stream = desk_stream.send_message(told(PAY))
        async for task, _ in stream:
            task_id = task.id
            break
        await stream.aclose()
        follows = asyncio.create_task(growing(desk_stream.resubscribe(TaskIdParams(id=task_id))))
        waiting = await until(task_id, TaskState.input_required)
        await task_of(desk, decision(waiting))
        return await follows

    async def approval() -> str:
        return await said(desk, decision(await task_of(desk, told(PAY))))

    image = message([TextPart(text="see"), FilePart(file=FileWithBytes(bytes=PIXEL, mime_type="image/png"))])
    cases = {
        "text": lambda: said(full, told("hello")),
        "stream": lambda: growing(full_stream.send_message(told("hello"))),
        "image": lambda: said(full, image),
        "second turn": second,
        "agent": lambda: said(desk, told(TWO)),
        "agent, streamed": lambda: growing(desk_stream.send_message(told(TWO))),
        "background": background,
        "connection lost": lost,
        "approval": approval,
    }
    for name, ask in cases.items():
        result: dict[str, Any]
        try:
            result = {"said": await asyncio.wait_for(ask(), LONGEST_S)}
        except Exception as error:
            result = {"failure": f"{type(error).__name__}: {error}"[:500]}
        line = {"client": f"a2a-sdk {version('a2a-sdk')}", "door": "a2a", "name": name, **result}
        print(json.dumps(line), flush=True)


asyncio.run(main())
