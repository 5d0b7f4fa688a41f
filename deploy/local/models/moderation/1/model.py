"""A few-shot classifier over all-MiniLM-L6-v2: is a text safe or unsafe?

in   TEXT    STRING [batch, 1]  UTF-8, at most 20 000 characters
out  SCORES  FP32   [batch, 2]  probability of safe, of unsafe: together 1

At load it learns from the texts of prototypes.json, some thirty of a kind: a logistic regression on their embeddings.
A text is read sentence by sentence; the most unsafe one decides.

It is there so that pipelines can be tried with a model that behaves like a moderation model, and no more than that: it
knows English and the topics of its prototypes (threats, weapons, drugs, crime, hate, self-harm), it can be talked around
by whoever wants to. It is right on 3 of 4 of its own prototypes when it has not learnt from that one (many of the safe
ones are there to mislead: "How do I kill a process?"). Use a real moderation model where it matters.
Errors: INVALID_ARG for text that is not UTF-8 or too long, UNKNOWN for a failure inside the model.
"""
import json
import pathlib
import re
import sys

import numpy as np
import triton_python_backend_utils as pb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "minilm" / "1"))
from encoder import Encoder, passes  # noqa: E402

MAX_CHARACTERS = 20_000
# In one vector for more than a sentence a threat drowns in what is around it.
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
# What has no end of a sentence within this many tokens is read in windows that share some.
WINDOW, OVERLAP = 64, 16
# Of one pass: a sixteenth of a second on two cores, which is what cancelled requests may still cost. About 15 sentences:
# on a CPU larger batches gain nothing.
PASS_TOKENS = 256


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class Cancelled(Exception):
    """Nobody waits for the answers any more."""


class TritonPythonModel:
    def initialize(self, args):
        self.encoder = Encoder(WINDOW, OVERLAP)
        prototypes = json.loads((pathlib.Path(__file__).parent / "prototypes.json").read_text("utf-8"))
        safe, unsafe = (prototypes[label] for label in prototypes["labels"])
        vectors = self.encoder.embed(self.encoder.tokens(safe + unsafe))
        self.weights, self.bias = logistic_regression(vectors, np.repeat([0.0, 1.0], [len(safe), len(unsafe)]))

    def unsafe(self, texts, is_cancelled):
        """Probability of unsafe, of each text's most unsafe sentence."""
        sentences = [(i, part) for i, text in enumerate(texts) for part in SENTENCE_END.split(text.strip())]
        encodings = self.encoder.tokens([part for _, part in sentences])
        windows = [(i, part) for (i, _), e in zip(sentences, encodings) for part in (e, *e.overflowing)]
        most = np.zeros(len(texts), np.float32)
        for group in passes([part for _, part in windows], PASS_TOKENS):
            if is_cancelled():
                raise Cancelled
            vectors = self.encoder.embed([windows[at][1] for at in group])
            np.maximum.at(most, [windows[at][0] for at in group], sigmoid(vectors @ self.weights + self.bias))
        return most

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
            unsafe = self.unsafe(texts, lambda: all(requests[i].is_cancelled() for i, _ in rows))
            start = 0
            for index, texts in rows:
                part = unsafe[start : start + len(texts)]
                answers[index] = pb.InferenceResponse([pb.Tensor("SCORES", np.stack([1 - part, part], 1))])
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


def sigmoid(values):
    return (1 / (1 + np.exp(-values))).astype(np.float32)


def logistic_regression(vectors, labels, penalty=0.001, steps=2_000, rate=1.0):
    """Weights and bias by gradient descent from zero, so the same every time; `penalty` on the squared weights (L2)."""
    weights, bias = np.zeros(vectors.shape[1], np.float64), 0.0
    for _ in range(steps):
        error = 1 / (1 + np.exp(-(vectors @ weights + bias))) - labels
        weights -= rate * (vectors.T @ error / len(labels) + penalty * weights)
        bias -= rate * error.mean()
    return weights.astype(np.float32), np.float32(bias)


def failure(message, code):
    """An error of one request. Never INTERNAL: that is how clients recognise a dead stub."""
    return pb.InferenceResponse(error=pb.TritonError(message, code))
