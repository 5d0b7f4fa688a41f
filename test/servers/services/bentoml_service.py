"""A BentoML service with a route for each stage kind, for the contract tests."""

import asyncio
import typing as t
from pathlib import Path

import bentoml


async def perhaps_slow(text: str) -> None:
    if text == "slow":
        await asyncio.sleep(5)


@bentoml.service(workers=1, traffic={"timeout": 30})
class Anything:
    @bentoml.api
    async def classify(self, text: str) -> dict[str, float]:
        await perhaps_slow(text)
        if text == "broken":
            raise RuntimeError("the weights are gone")
        return {"yes": 0.75, "no": 0.25}

    @bentoml.api
    async def embed(self, texts: list[str]) -> list[list[float]]:
        return [[3, 4] for _ in texts]

    @bentoml.api
    async def rerank(self, query: str, texts: list[str]) -> list[float]:
        return [i / 10 for i, _ in enumerate(texts)]

    @bentoml.api
    async def infer(self, X: list[list[float]]) -> list[list[float]]:
        return X

    @bentoml.api
    async def chat(self, prompt: str, max_tokens: int) -> t.AsyncGenerator[str, None]:
        for word in ["Paris,", " of", " course"]:
            yield word
            await asyncio.sleep(0.05)

    @bentoml.api
    async def transcribe(self, audio: Path) -> str:
        head = audio.read_bytes()
        return f" {head[:4].decode()} of {len(head)} "

    @bentoml.task
    async def classify_task(self, text: str) -> dict[str, float]:
        await perhaps_slow(text)
        return {"yes": 0.75, "no": 0.25}

    @bentoml.task
    async def embed_task(self, texts: list[str]) -> list[list[float]]:
        return [[3, 4] for _ in texts]

    @bentoml.task
    async def rerank_task(self, query: str, texts: list[str]) -> list[float]:
        return [i / 10 for i, _ in enumerate(texts)]

    @bentoml.task
    async def infer_task(self, X: list[list[float]]) -> list[list[float]]:
        return X
