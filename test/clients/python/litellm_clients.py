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

        async def streamed(model: str, given: str) -> str:
            chunks = await complete(model, given, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

        async def tools() -> Any:
            asked = {"role": "user", "content": TWO}
            message = (await complete("full", [asked], tools=TOOLS)).choices[0].message
            results = [
                {"role": "tool", "tool_call_id": call.id, "content": f"{json.loads(call.function.arguments)['city']} 21"}
                for call in message.tool_calls
            ]
            return await said("full", [asked, message.model_dump(), *results], tools=TOOLS)

        cases = {
            "text": lambda: said("full", "hello"),
            "stream": lambda: streamed("full", "hello"),
            "tools": tools,
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
