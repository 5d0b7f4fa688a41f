"""The models of the embedded stack for MLServer, with the tensors that they have in Triton."""

import asyncio

import stack_models
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


def texts(request, name):
    return StringCodec.decode_input(next(given for given in request.inputs if given.name == name))


def numbers(name, rows):
    """Rows of like length as a tensor."""
    data = [number for row in rows for number in row]
    return ResponseOutput(name=name, datatype="FP32", shape=[len(rows), len(data) // len(rows)], data=data)


class Served(MLModel):
    def answer(self, request):
        raise NotImplementedError

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        output = await asyncio.to_thread(self.answer, payload)
        return InferenceResponse(model_name=self.name, model_version="1", outputs=[output])


class MiniLm(Served):
    async def load(self):
        self.model = stack_models.MiniLm()
        return True

    def answer(self, request):
        return numbers("EMBEDDING", self.model.vectors(texts(request, "TEXT")))


class Rerank(Served):
    async def load(self):
        self.model = stack_models.Rerank()
        return True

    def answer(self, request):
        (query,) = texts(request, "QUERY")
        return numbers("SCORES", [self.model.scores(query, texts(request, "PASSAGES"))])


class Moderation(Served):
    async def load(self):
        self.model = stack_models.Moderation()
        return True

    def answer(self, request):
        return numbers("SCORES", self.model.scores(texts(request, "TEXT")))
