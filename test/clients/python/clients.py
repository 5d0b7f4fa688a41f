"""Clients for Python against a gateway: python clients.py URL. Prints a line of JSON for each case."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import anthropic
import openai
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import BinaryContent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel as PydanticResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

URL = sys.argv[1]
BASE = f"{URL}/v1"
KEY = "none"
LONGEST_S = 60
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}'
set_tracing_disabled(True)


class Answer(BaseModel):
    a: int


Case = Callable[[], Awaitable[Any]]


async def try_all(client: str, door: str, cases: dict[str, Case]) -> None:
    """Cases by name; each gives what the client shows its user."""
    for name, ask in cases.items():
        result: dict[str, Any]
        try:
            said = await asyncio.wait_for(ask(), LONGEST_S)
            result = {"said": said.model_dump() if isinstance(said, BaseModel) else said}
        except Exception as error:
            result = {"failure": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps({"client": f"{client} {version(client)}", "door": door, "name": name, **result}), flush=True)


def agents_cases(model_of: Callable[[str], Any]) -> dict[str, Case]:
    @function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"{city} 21"

    agent = Agent(name="helper", instructions="You help.", model=model_of("full"), tools=[weather])
    desk = Agent(name="desk", model=model_of("desk"))

    async def said(who: Agent, given: Any) -> Any:
        return (await Runner.run(who, given)).final_output

    async def streamed(who: Agent, given: Any) -> Any:
        result = Runner.run_streamed(who, given)
        async for _ in result.stream_events():
            pass
        return result.final_output

    async def second() -> Any:
        turns = (await Runner.run(agent, TWO)).to_input_list()
        return await said(agent, [*turns, {"role": "user", "content": "again"}])

    image = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"}
    seen = [{"role": "user", "content": [{"type": "input_text", "text": "see"}, image]}]
    return {
        "text": lambda: said(agent, "hello"),
        "stream": lambda: streamed(agent, "hello"),
        "tools": lambda: said(agent, TWO),
        "tools, streamed": lambda: streamed(agent, TWO),
        "structured": lambda: said(Agent(name="typed", model=model_of("full"), output_type=Answer), 'JSON {"a":1}'),
        "image": lambda: said(agent, seen),
        "second turn": second,
        "agent": lambda: said(desk, TWO),
        "agent, streamed": lambda: streamed(desk, TWO),
    }


def pydantic_cases(model_of: Callable[[str], Any]) -> dict[str, Case]:
    agent = PydanticAgent(model_of("full"), instructions="You help.")

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"{city} 21"

    desk = PydanticAgent(model_of("desk"))

    async def said(who: Any, given: Any) -> Any:
        return (await who.run(given)).output

    async def streamed(who: Any, given: Any) -> Any:
        async with who.run_stream(given) as result:
            return "".join([text async for text in result.stream_text(delta=True)])

    async def second() -> Any:
        first = await agent.run(TWO)
        return (await agent.run("again", message_history=first.all_messages())).output

    return {
        "text": lambda: said(agent, "hello"),
        "stream": lambda: streamed(agent, "hello"),
        "tools": lambda: said(agent, TWO),
        "tools, streamed": lambda: streamed(agent, TWO),
        "structured": lambda: said(PydanticAgent(model_of("full"), output_type=Answer), 'JSON {"a":1}'),
        "image": lambda: said(agent, ["see", BinaryContent(base64.b64decode(PIXEL), media_type="image/png")]),
        "second turn": second,
        "agent": lambda: said(desk, TWO),
        "agent, streamed": lambda: streamed(desk, TWO),
    }


def langgraph_cases(model_of: Callable[[str], Any]) -> dict[str, Case]:
    @tool
    def weather(city: str) -> str:
        """The weather of a city."""
        return f"{city} 21"

    model = model_of("full")
    agent = create_agent(model, [weather])

    async def asked(turns: list[Any]) -> Any:
        return (await agent.ainvoke({"messages": turns}))["messages"]

    async def text() -> str:
        return str((await model.ainvoke("hello")).text)

    async def stream() -> str:
        return "".join([str(chunk.text) async for chunk in model.astream("hello")])

    async def tools() -> str:
        return str((await asked([("user", TWO)]))[-1].text)

    async def second() -> str:
        turns = await asked([("user", TWO)])
        return str((await asked([*turns, ("user", "again")]))[-1].text)

    async def desk() -> str:
        return str((await model_of("desk").ainvoke(TWO)).text)

    return {
        "text": text,
        "stream": stream,
        "tools": tools,
        "structured": lambda: model.with_structured_output(Answer).ainvoke('JSON {"a":1}'),
        "second turn": second,
        "agent": desk,
    }


def anthropic_cases() -> dict[str, Case]:
    client = anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0)

    def asking(model: str, content: str) -> dict[str, Any]:
        return {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": content}]}

    async def said(model: str, content: str) -> str:
        message = await client.messages.create(**asking(model, content))
        return "".join(getattr(block, "text", "") for block in message.content)

    async def streamed(model: str, content: str) -> str:
        async with client.messages.stream(**asking(model, content)) as stream:
            return "".join([text async for text in stream.text_stream])

    return {
        "text": lambda: said("full", "hello"),
        "stream": lambda: streamed("full", "hello"),
        "agent": lambda: said("desk", TWO),
        "agent, streamed": lambda: streamed("desk", TWO),
    }


async def main() -> None:
    client = openai.AsyncOpenAI(base_url=BASE, api_key=KEY)
    provider = OpenAIProvider(base_url=BASE, api_key=KEY)
    of_anthropic = AnthropicProvider(base_url=URL, api_key=KEY)

    def langchain(responses: bool) -> Callable[[str], ChatOpenAI]:
        return lambda name: ChatOpenAI(
            model=name, base_url=BASE, api_key=KEY, use_responses_api=responses, max_retries=0
        )

    await try_all("openai-agents", "chat", agents_cases(lambda name: OpenAIChatCompletionsModel(name, client)))
    await try_all("openai-agents", "responses", agents_cases(lambda name: OpenAIResponsesModel(name, client)))
    pydantic = "pydantic-ai-slim"
    await try_all(pydantic, "chat", pydantic_cases(lambda name: OpenAIChatModel(name, provider=provider)))
    await try_all(pydantic, "responses", pydantic_cases(lambda name: PydanticResponsesModel(name, provider=provider)))
    await try_all(pydantic, "messages", pydantic_cases(lambda name: AnthropicModel(name, provider=of_anthropic)))
    await try_all("langgraph", "chat", langgraph_cases(langchain(False)))
    await try_all("langgraph", "responses", langgraph_cases(langchain(True)))
    await try_all("anthropic", "messages", anthropic_cases())


asyncio.run(main())
