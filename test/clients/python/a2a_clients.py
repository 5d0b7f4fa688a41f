"""A2A's own client against a gateway: python a2a_clients.py URL. In a venv of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from a2a.client import Client, ClientConfig, create_client
from a2a.types.a2a_pb2 import (
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from google.protobuf.json_format import MessageToDict, ParseDict

URL = sys.argv[1]
LONGEST_S = 60
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}'
PAY = 'CALL pay {"invoice":"7"}'


def request(parts: list[Part], immediate: bool = False, **of: str) -> SendMessageRequest:
    message = Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=parts, **of)
    sent = SendMessageRequest(message=message)
    sent.configuration.return_immediately = immediate
    return sent


def told(text: str) -> SendMessageRequest:
    return request([Part(text=text)])


def answer(task: Task) -> str:
    return next(each for each in task.artifacts if each.artifact_id == "answer").parts[0].text


async def task_of(client: Client, sent: SendMessageRequest) -> Task:
    """The task of a client that does not stream."""
    async for event in client.send_message(sent):
        return event.task
    raise RuntimeError("no task")


async def growing(events: AsyncIterator[StreamResponse]) -> str:
    text = ""
    async for event in events:
        update = event.artifact_update
        if update.artifact.artifact_id == "answer":
            text = (text if update.append else "") + update.artifact.parts[0].text
    return text


def decision(task: Task) -> SendMessageRequest:
    asked = next(MessageToDict(part.data) for part in task.status.message.parts if part.HasField("data"))
    part = ParseDict({"data": {"nonce": asked["nonce"], "approved": True}}, Part())
    return request([part], task_id=task.id, context_id=task.context_id)


async def main() -> None:
    waits = ClientConfig(streaming=False)
    full, desk = [await create_client(f"{URL}/a2a/{name}", client_config=waits) for name in ("full", "desk")]
    full_stream, desk_stream = [await create_client(f"{URL}/a2a/{name}") for name in ("full", "desk")]

    async def said(client: Client, sent: SendMessageRequest) -> str:
        return answer(await task_of(client, sent))

    async def second() -> str:
        first = await task_of(full, told("hello"))
        return await said(full, request([Part(text="again")], context_id=first.context_id))

    async def until(task_id: str, state: TaskState) -> Task:
        while True:
            task = await desk.get_task(GetTaskRequest(id=task_id))
            if task.status.state == state:
                return task
            await asyncio.sleep(0.1)

    async def background() -> str:
        task = await task_of(desk, request([Part(text=TWO)], immediate=True))
        return answer(await until(task.id, TaskState.TASK_STATE_COMPLETED))

    async def lost() -> str:
        task_id = ""
        stream = desk_stream.send_message(told(PAY))
        async for event in stream:
            task_id = event.task.id
            break
        await stream.aclose()
        follows = asyncio.create_task(growing(desk_stream.subscribe(SubscribeToTaskRequest(id=task_id))))
        waiting = await until(task_id, TaskState.TASK_STATE_INPUT_REQUIRED)
        await task_of(desk, decision(waiting))
        return await follows

    async def approval() -> str:
        return await said(desk, decision(await task_of(desk, told(PAY))))

    image = request([Part(text="see"), Part(raw=base64.b64decode(PIXEL), media_type="image/png")])
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
