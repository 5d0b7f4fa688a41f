"""The weather desk with OpenAI Agents on Temporal, as the plugin's documentation builds it: model calls and the tool are activities.

    python openai_agents_side.py worker ADDRESS QUEUE MODEL_URL
    python openai_agents_side.py client ADDRESS QUEUE MODEL_URL

The worker prints a line when it serves. For each line that the client reads, a question, it runs a turn and prints a line of JSON with
the time that it took, in milliseconds, and the answer. Both end with their standard input.
"""

import asyncio
import json
import sys
import time
import uuid
from datetime import timedelta

from agents import Agent, OpenAIProvider, Runner
from temporalio import activity, openai_agents, workflow
from temporalio.client import Client
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
from temporalio.worker import Worker

LIMIT = timedelta(seconds=60)


@activity.defn
async def get_weather(city: str) -> str:
    """The weather in a city right now"""
    return f"{city}: 21 degrees, clear"


@workflow.defn
class WeatherDesk:
    @workflow.run
    async def run(self, message: str) -> str:
        agent = Agent(
            name="Weather desk",
            instructions="Answer with the help of the tools.",
            model="assistant",
            tools=[openai_agents.workflow.activity_as_tool(get_weather, start_to_close_timeout=LIMIT)],
        )
        result = await Runner.run(agent, message)
        return str(result.final_output)


async def lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(text: str) -> None:
    print(text, flush=True)


async def main(role: str, address: str, queue: str, model_url: str) -> None:
    provider = OpenAIProvider(api_key="none", base_url=model_url, use_responses=False)
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=LIMIT), model_provider=provider
    )
    client = await Client.connect(address, plugins=[plugin])
    read = await lines()
    if role == "worker":
        async with Worker(client, task_queue=queue, workflows=[WeatherDesk], activities=[get_weather]):
            say("serves")
            await read.read()
        return
    while line := await read.readline():
        began = time.perf_counter()
        text = await client.execute_workflow(
            WeatherDesk.run, line.decode().strip(), id=f"desk-{uuid.uuid4()}", task_queue=queue
        )
        say(json.dumps({"ms": (time.perf_counter() - began) * 1000, "text": text}))


# The sandbox of workflows imports this file once more.
if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
