"""LiteLLM against a gateway: python litellm_clients.py URL. In a venv of its own: it holds back the client of OpenAI."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.metadata import version
from typing import Any

import litellm

URL = sys.argv[1]
TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}'
DOORS = {"chat": ("openai", f"{URL}/v1"), "messages": ("anthropic", URL)}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SEEN = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ],
    }
]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


async def main() -> None:
    for door, (provider, base) in DOORS.items():

        async def complete(model: str, messages: Any, **more: Any) -> Any:
            if isinstance(messages, str):
                messages = [{"role": "user", "content": messages}]
            return await litellm.acompletion(
                model=f"{provider}/{model}", api_base=base, api_key="none", messages=messages, num_retries=0, **more
            )

        async def said(model: str, given: Any, **more: Any) -> Any:
            return (await complete(model, given, **more)).choices[0].message.content

        async def streamed(model: str, given: Any, **more: Any) -> str:
            chunks = await complete(model, given, stream=True, **more)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

        asked = {"role": "user", "content": TWO}

        def carried_out(message: Any) -> list[Any]:
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": f"{json.loads(call.function.arguments)['city']} 21"}
                for call in message.tool_calls
            ]
            return [asked, message.model_dump(), *results]

        async def tools() -> Any:
            message = (await complete("full", [asked], tools=TOOLS)).choices[0].message
            return await said("full", carried_out(message), tools=TOOLS)

        async def tools_streamed() -> Any:
            chunks = [chunk async for chunk in await complete("full", [asked], tools=TOOLS, stream=True)]
            message = litellm.stream_chunk_builder(chunks).choices[0].message
            return await streamed("full", carried_out(message), tools=TOOLS)

        async def second() -> Any:
            message = (await complete("full", [asked], tools=TOOLS)).choices[0].message
            turns = carried_out(message)
            answer = (await complete("full", turns, tools=TOOLS)).choices[0].message
            return await said(
                "full", [*turns, answer.model_dump(), {"role": "user", "content": "again"}], tools=TOOLS
            )

        cases = {
            "text": lambda: said("full", "hello"),
            "stream": lambda: streamed("full", "hello"),
            "tools": tools,
            "tools, streamed": tools_streamed,
            "image": lambda: said("full", SEEN),
            "second turn": second,
            "agent": lambda: said("desk", TWO),
            "agent, streamed": lambda: streamed("desk", TWO),
        }
        for name, ask in cases.items():
            result: dict[str, Any]
            try:
                result = {"said": await asyncio.wait_for(ask(), 60)}
            except Exception as error:
                result = {"failure": f"{type(error).__name__}: {error}"[:500]}
            line = {"client": f"litellm {version('litellm')}", "door": door, "name": name, **result}
            print(json.dumps(line), flush=True)


asyncio.run(main())
