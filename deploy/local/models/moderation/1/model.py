"""Is a text safe or unsafe? classifier.py says what it knows, and what it does not.

in   TEXT    STRING [batch, 1]  UTF-8, at most 20 000 characters
out  SCORES  FP32   [batch, 2]  probability of safe, of unsafe: together 1

Errors: INVALID_ARG for text that is not UTF-8 or too long, UNKNOWN for a failure inside the model.
"""
import pathlib
import sys

import triton_python_backend_utils as pb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "minilm" / "1"))
from classifier import Cancelled, Classifier  # noqa: E402

MAX_CHARACTERS = 20_000


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class TritonPythonModel:
    def initialize(self, args):
        self.model = Classifier()

    def execute(self, requests):
        answers = [None] * len(requests)
        rows = []  # (index of the request, its texts)
        for index, request in enumerate(requests):
            try:
                rows.append((index, texts_of(request)))
            except BadInput as error:
                answers[index] = failure(str(error), pb.TritonError.INVALID_ARG)
            except Exception as error:  # noqa: BLE001
                answers[index] = failure(f"moderation: {error!r}", pb.TritonError.UNKNOWN)
        try:
            texts = [text for _, part in rows for text in part]
            scores = self.model.scores(texts, lambda: all(requests[i].is_cancelled() for i, _ in rows))
            start = 0
            for index, texts in rows:
                answers[index] = pb.InferenceResponse([pb.Tensor("SCORES", scores[start : start + len(texts)])])
                start += len(texts)
        except Cancelled:
            for index, _ in rows:
                answers[index] = failure("cancelled", pb.TritonError.CANCELLED)
        except Exception as error:  # noqa: BLE001
            for index, _ in rows:
                answers[index] = failure(f"moderation: {error!r}", pb.TritonError.UNKNOWN)
        return answers


def texts_of(request):
    cells = pb.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
    try:
        texts = [cell.decode("utf-8") for cell in cells]
    except UnicodeDecodeError:
        raise BadInput("TEXT is not valid UTF-8") from None
    longest = max(map(len, texts), default=0)
    if longest > MAX_CHARACTERS:
        raise BadInput(f"TEXT has {longest} characters; at most {MAX_CHARACTERS} are accepted")
    return texts


def failure(message, code):
    """An error of one request. Never INTERNAL: that is how clients recognise a dead stub."""
    return pb.InferenceResponse(error=pb.TritonError(message, code))
