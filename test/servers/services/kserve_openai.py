"""A KServe model server with a chat model and an encoder behind its OpenAI route, for the contract tests. A model of its v1
protocol, `running`, counts the answers that are being streamed."""

import asyncio
import sys
from http import HTTPStatus

from kserve import Model, ModelServer
from kserve.errors import InvalidInput
from kserve.protocol.rest.openai import OpenAIEncoderModel, OpenAIGenerativeModel
from kserve.protocol.rest.openai.errors import create_error_response
from kserve.protocol.rest.openai.types import (
    ChatCompletion,
    ChatCompletionChoice,
    ChatCompletionChunk,
    ChatMessage,
    ChoiceDelta,
    ChunkChoice,
    Embedding,
    EmbeddingResponseData,
    Rerank,
    UsageInfo,
)

WORDS = ("Paris,", " of", " course")
running = 0


def used(asked, said):
    return UsageInfo(prompt_tokens=asked, completion_tokens=said, total_tokens=asked + said)


class Chat(OpenAIGenerativeModel):
    async def create_completion(self, request, raw_request=None, context=None):
        return create_error_response("the model has no completions of texts")

    async def create_chat_completion(self, request, raw_request=None, context=None):
        text = request.messages[-1]["content"]
        if text == "bad":
            raise InvalidInput("the text must not be bad")
        if text == "broken":
            raise RuntimeError("the weights are gone")
        if text == "full":
            return create_error_response("too many requests", "RateLimitError", status_code=HTTPStatus.TOO_MANY_REQUESTS)
        asked = len(text.split())
        if request.stream:
            return self.streamed(text, asked)
        message = ChatMessage(role="assistant", content="".join(WORDS))
        choice = ChatCompletionChoice(index=0, message=message)
        return ChatCompletion(model=self.name, choices=[choice], usage=used(asked, len(WORDS)))

    async def streamed(self, text, asked):
        global running
        running += 1
        try:
            for word in WORDS * 50 if text == "slow" else WORDS:
                yield self.event([ChunkChoice(index=0, delta=ChoiceDelta(role="assistant", content=word))])
                await asyncio.sleep(0.1)
                if text == "cut":
                    raise RuntimeError("the weights are gone")
            yield self.event([ChunkChoice(index=0, delta=ChoiceDelta(), finish_reason="stop")])
            yield self.event([], used(asked, len(WORDS)))
            yield "data: [DONE]\n\n"
        finally:
            running -= 1

    def event(self, choices, usage=None):
        chunk = ChatCompletionChunk(model=self.name, choices=choices, usage=usage)
        return f"data: {chunk.model_dump_json(exclude_none=True)}\n\n"


class Encoder(OpenAIEncoderModel):
    async def create_embedding(self, request, raw_request=None, context=None):
        texts = request.input if isinstance(request.input, list) else [request.input]
        data = [EmbeddingResponseData(index=i, embedding=[3, 4]) for i, _ in enumerate(texts)]
        return Embedding(model=self.name, data=data, usage=used(len(texts), 0))

    async def create_rerank(self, request, raw_request=None, context=None):
        """Later documents are better."""
        results = [
            {"index": i, "document": {"text": text}, "relevance_score": i / 10}
            for i, text in reversed(list(enumerate(request.documents)))
        ]
        usage = {"prompt_tokens": len(results), "total_tokens": len(results)}
        return Rerank(id="rerank", model=self.name, usage=usage, results=results[: request.top_n or None])


class Running(Model):
    def __init__(self):
        super().__init__("running")
        self.ready = True

    async def predict(self, payload, headers=None):
        return {"predictions": [running]}


if __name__ == "__main__":
    port = int(sys.argv[1])
    sys.argv = sys.argv[:1]
    # The server has no option for its address: it listens on all of them.
    ModelServer(http_port=port, enable_grpc=False).start([Chat("chat"), Encoder("encoder"), Running()])
