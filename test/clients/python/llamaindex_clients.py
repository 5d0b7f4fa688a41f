"""LlamaIndex against a gateway: python llamaindex_clients.py URL. In a venv of its own: it is large."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from importlib.metadata import version
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

URL = sys.argv[1]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}'
CLIENT = f"llama-index-llms-openai-like {version('llama-index-llms-openai-like')}"


class Answer(BaseModel):
    a: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"{city} 21"


def model_of(name: str) -> OpenAILike:
    return OpenAILike(
        model=name,
        api_base=f"{URL}/v1",
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=8_192,
        max_retries=0,
    )


async def main() -> None:
    model = model_of("full")
    agent = FunctionAgent(tools=[weather], llm=model)

    async def text() -> str:
        return str((await model.acomplete("hello")).text)

    async def stream() -> str:
        return "".join([chunk.delta or "" async for chunk in await model.astream_complete("hello")])

    async def tools() -> str:
        return str(await agent.run(TWO))

    async def tools_streamed() -> str:
        handler = agent.run(TWO)
        async for _ in handler.stream_events():
            pass
        return str(await handler)

    async def image() -> str:
        blocks = [TextBlock(text="see"), ImageBlock(image=base64.b64decode(PIXEL), image_mimetype="image/png")]
        return str((await model.achat([ChatMessage(role="user", blocks=blocks)])).message.content)

    async def structured() -> Any:
        return (await model.as_structured_llm(Answer).acomplete('JSON {"a":1}')).raw.model_dump()

    async def second() -> str:
        turns = [("user", "hello"), ("assistant", "Hello."), ("user", "again")]
        return str((await model.achat([ChatMessage(role=role, content=said) for role, said in turns])).message.content)

    async def desk() -> str:
        return str((await model_of("desk").acomplete(TWO)).text)

    async def desk_streamed() -> str:
        return "".join([chunk.delta or "" async for chunk in await model_of("desk").astream_complete(TWO)])

    cases = {
        "text": text,
        "stream": stream,
        "tools": tools,
        "tools, streamed": tools_streamed,
        "structured": structured,
        "image": image,
        "second turn": second,
        "agent": desk,
        "agent, streamed": desk_streamed,
    }
    for name, ask in cases.items():
        result: dict[str, Any]
        try:
            result = {"said": await asyncio.wait_for(ask(), 60)}
        except Exception as error:
            result = {"failure": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps({"client": CLIENT, "door": "chat", "name": name, **result}), flush=True)


asyncio.run(main())
