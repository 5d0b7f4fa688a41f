"""A BentoML service with the models of the embedded stack: a route for each."""

import bentoml
from stack_models import MiniLm, Moderation, Rerank


@bentoml.service(workers=1, traffic={"timeout": 60})
class Stack:
    def __init__(self) -> None:
        self.embedder, self.ranker, self.classifier = MiniLm(), Rerank(), Moderation()

    @bentoml.api
    def minilm(self, texts: list[str]) -> list[list[float]]:
        return self.embedder.vectors(texts)

    @bentoml.api
    def rerank(self, query: str, texts: list[str]) -> list[float]:
        return self.ranker.scores(query, texts)

    @bentoml.api
    def moderation(self, text: str) -> dict[str, float]:
        return self.classifier.by_label(text)
