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
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
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

    async def tools_streamed() -> str:
        answers = agent.astream({"messages": [("user", TWO)]}, stream_mode="messages")
        # Messages of tools pass in the same stream.
        return "".join([str(chunk.text) async for chunk, _ in answers if chunk.type == "AIMessageChunk"])

    async def image() -> str:
        parts = [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ]
        return str((await model.ainvoke([{"role": "user", "content": parts}])).text)

    async def second() -> str:
        turns = await asked([("user", TWO)])
        return str((await asked([*turns, ("user", "again")]))[-1].text)

    async def desk() -> str:
        return str((await model_of("desk").ainvoke(TWO)).text)

    async def desk_streamed() -> str:
        return "".join([str(chunk.text) async for chunk in model_of("desk").astream(TWO)])

    return {
        "text": text,
        "stream": stream,
        "tools": tools,
        "tools, streamed": tools_streamed,
        "structured": lambda: model.with_structured_output(Answer).ainvoke('JSON {"a":1}'),
        "image": image,
        "second turn": second,
        "agent": desk,
        "agent, streamed": desk_streamed,
    }


def anthropic_cases() -> dict[str, Case]:
    client = anthropic.AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0)
    tools = [{"name": "weather", "input_schema": CITY}]

    def asking(model: str, content: Any) -> dict[str, Any]:
        return {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": content}]}

    def text_of(message: Any) -> str:
        return "".join(getattr(block, "text", "") for block in message.content)

    async def created(request: dict[str, Any]) -> Any:
        return await client.messages.create(**request)

    async def streamed(request: dict[str, Any]) -> Any:
        async with client.messages.stream(**request) as stream:
            return await stream.get_final_message()

    async def carried_out(send: Callable[[dict[str, Any]], Awaitable[Any]]) -> tuple[Any, list[Any]]:
        """Asks, carries the calls out, and asks again."""
        request = {**asking("full", TWO), "tools": tools}
        message = await send(request)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"{block.input['city']} 21"}
            for block in message.content
            if block.type == "tool_use"
        ]
        turns = [
            *request["messages"],
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": results},
        ]
        return await send({**request, "messages": turns}), turns

    async def said(request: dict[str, Any]) -> str:
        return text_of(await created(request))

    async def text_streamed(request: dict[str, Any]) -> str:
        return text_of(await streamed(request))

    async def with_tools(send: Callable[[dict[str, Any]], Awaitable[Any]]) -> str:
        return text_of((await carried_out(send))[0])

    async def second() -> str:
        message, turns = await carried_out(created)
        more = [*turns, {"role": "assistant", "content": message.content}, {"role": "user", "content": "again"}]
        return await said({**asking("full", ""), "tools": tools, "messages": more})

    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    return {
        "text": lambda: said(asking("full", "hello")),
        "stream": lambda: text_streamed(asking("full", "hello")),
        "tools": lambda: with_tools(created),
        "tools, streamed": lambda: with_tools(streamed),
        "image": lambda: said(asking("full", [{"type": "text", "text": "see"}, {"type": "image", "source": source}])),
        "second turn": second,
        "agent": lambda: said(asking("desk", TWO)),
        "agent, streamed": lambda: text_streamed(asking("desk", TWO)),
    }


async def ended(client: openai.AsyncOpenAI, response_id: str) -> str:
    """The text of a response in the background, when it has ended."""
    while True:
        response = await client.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return str(response.output_text)
        await asyncio.sleep(0.1)


def openai_cases(client: openai.AsyncOpenAI) -> dict[str, Case]:
    weather = {"type": "function", "name": "weather", "strict": False, "parameters": CITY}
    asked = {"role": "user", "content": TWO}

    async def created(**request: Any) -> Any:
        return await client.responses.create(**request)

    async def streamed(**request: Any) -> Any:
        async with client.responses.stream(**request) as stream:
            return await stream.get_final_response()

    async def said(**request: Any) -> str:
        return str((await created(**request)).output_text)

    async def text_streamed(**request: Any) -> str:
        return str((await streamed(**request)).output_text)

    async def with_tools(send: Callable[..., Awaitable[Any]]) -> str:
        first = await send(model="full", tools=[weather], input=[asked])
        results = [
            {
                "type": "function_call_output",
                "call_id": item.call_id,
                "output": f"{json.loads(item.arguments)['city']} 21",
            }
            for item in first.output
            if item.type == "function_call"
        ]
        turns = [asked, *[item.model_dump(exclude_none=True) for item in first.output], *results]
        return str((await send(model="full", tools=[weather], input=turns)).output_text)

    async def structured() -> Any:
        parsed = await client.responses.parse(model="full", input='JSON {"a":1}', text_format=Answer)
        return parsed.output_parsed

    async def second() -> str:
        first = await created(model="full", input="hello")
        return await said(model="full", input="again", previous_response_id=first.id)

    async def background() -> str:
        return await ended(client, (await created(model="desk", input=TWO, background=True)).id)

    async def other_process() -> str:
        begun = await created(model="desk", input=TWO, background=True)
        program = await asyncio.create_subprocess_exec(
            sys.executable, __file__, URL, begun.id, stdout=asyncio.subprocess.PIPE
        )
        return (await program.communicate())[0].decode()

    async def connection_lost() -> str:
        begun, at, text = "", -1, ""
        stream = await created(model="desk", input=TWO, background=True, stream=True)
        async for event in stream:
            at = event.sequence_number
            if event.type == "response.created":
                begun = event.response.id
            if event.type == "response.output_text.delta":
                text += event.delta
            if at == 3:
                break
        await stream.close()
        async for event in await client.responses.retrieve(begun, stream=True, starting_after=at):
            if event.type == "response.output_text.delta":
                text += event.delta
        return text

    image = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"}
    seen = [{"role": "user", "content": [{"type": "input_text", "text": "see"}, image]}]
    return {
        "text": lambda: said(model="full", input="hello"),
        "stream": lambda: text_streamed(model="full", input="hello"),
        "tools": lambda: with_tools(created),
        "tools, streamed": lambda: with_tools(streamed),
        "structured": structured,
        "image": lambda: said(model="full", input=seen),
        "second turn": second,
        "agent": lambda: said(model="desk", input=TWO),
        "agent, streamed": lambda: text_streamed(model="desk", input=TWO),
        "background": background,
        "another process": other_process,
        "connection lost": connection_lost,
    }


async def main() -> None:
    client = openai.AsyncOpenAI(base_url=BASE, api_key=KEY)
    if len(sys.argv) > 2:
        # The other process of a case: it waits for a response that this one has not begun.
        print(await ended(client, sys.argv[2]), end="")
        return
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
    await try_all("openai", "responses", openai_cases(client))
    await try_all("anthropic", "messages", anthropic_cases())


asyncio.run(main())
