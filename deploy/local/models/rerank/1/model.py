"""How well each of some passages answers a query: late_interaction.py says how it is scored.

in   QUERY     STRING [1, 1]         UTF-8
     PASSAGES  STRING [1, passages]  UTF-8; of query and passages everything behind 256 tokens is ignored
out  SCORES    FP32   [1, passages]  -1..1, higher is better

A cancelled request ends between two passes through the network.
Errors: INVALID_ARG for text that is not UTF-8 or no passages, UNKNOWN for a failure inside the model.
"""
import pathlib
import sys

import triton_python_backend_utils as pb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "minilm" / "1"))
from late_interaction import LateInteraction  # noqa: E402


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class TritonPythonModel:
    def initialize(self, args):
        self.model = LateInteraction()

    def scores(self, request):
        try:
            query = pb.get_input_tensor_by_name(request, "QUERY").as_numpy().reshape(-1)[0].decode("utf-8")
            cells = pb.get_input_tensor_by_name(request, "PASSAGES").as_numpy().reshape(-1)
            passages = [cell.decode("utf-8") for cell in cells]
        except UnicodeDecodeError:
            raise BadInput("QUERY or PASSAGES is not valid UTF-8") from None
        if not passages:
            raise BadInput("PASSAGES is empty")
        return self.model.scores(query, passages, request.is_cancelled)

    def answer(self, request):
        try:
            scores = self.scores(request)
            if scores is None:
                return pb.InferenceResponse(error=pb.TritonError("cancelled", pb.TritonError.CANCELLED))
            return pb.InferenceResponse([pb.Tensor("SCORES", scores[None, :])])
        except BadInput as error:
            return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        except Exception as error:  # noqa: BLE001  INTERNAL is what a dead stub answers, so a failed call says UNKNOWN
            return pb.InferenceResponse(error=pb.TritonError(f"rerank: {error!r}", pb.TritonError.UNKNOWN))

    def execute(self, requests):
        return [self.answer(request) for request in requests]
