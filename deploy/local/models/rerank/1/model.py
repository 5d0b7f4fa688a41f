"""Late interaction over all-MiniLM-L6-v2: how well each of some passages answers a query.

in   QUERY     STRING [1, 1]         UTF-8
     PASSAGES  STRING [1, passages]  UTF-8; of query and passages everything behind 256 tokens is ignored
out  SCORES    FP32   [1, passages]  -1..1, higher is better

Scored as ColBERT does (Khattab and Zaharia, SIGIR 2020, https://arxiv.org/abs/2004.12832: "MaxSim"): query and passage
are encoded apart, every token of the query finds its most similar token of the passage, and the mean of these cosines is
the score; a question mark asks nothing, so punctuation of the query is left out. It sees which words of a question a
passage speaks of, where one vector a text only sees what both are about.
What it is not: MiniLM was trained for one vector a text, not for this, and no token of the query meets the passage inside
the network, as in a cross-encoder, which is better and about as many times slower as there are queries for a passage.

A cancelled request ends between two passes through the network.
Errors: INVALID_ARG for text that is not UTF-8 or no passages, UNKNOWN for a failure inside the model.
"""
import pathlib
import sys

import numpy as np
import triton_python_backend_utils as pb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "minilm" / "1"))
from encoder import Encoder, passes, unit  # noqa: E402

# Of one pass: a sixteenth of a second on two cores, which is what a cancelled request may still cost. One of the longest
# passages, or a dozen of short ones: on a CPU larger batches gain nothing.
PASS_TOKENS = 256


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


def is_word(token):
    return any(character.isalnum() for character in token)


class TritonPythonModel:
    def initialize(self, args):
        self.encoder = Encoder()
        self.vectors(self.encoder.tokens(["warm up"]))

    def vectors(self, encodings, counts=lambda token: True):
        """Vectors of length 1 of each text's tokens that count, without those that only mark its ends."""
        states, _ = self.encoder.states(encodings)
        kept = [
            [at for at, token in enumerate(e.tokens) if not e.special_tokens_mask[at] and counts(token)]
            for e in encodings
        ]
        return [unit(state[keep]) for state, keep in zip(states, kept)]

    def scores(self, request):
        try:
            query = pb.get_input_tensor_by_name(request, "QUERY").as_numpy().reshape(-1)[0].decode("utf-8")
            cells = pb.get_input_tensor_by_name(request, "PASSAGES").as_numpy().reshape(-1)
            passages = [cell.decode("utf-8") for cell in cells]
        except UnicodeDecodeError:
            raise BadInput("QUERY or PASSAGES is not valid UTF-8") from None
        if not passages:
            raise BadInput("PASSAGES is empty")
        (asked,) = self.vectors(self.encoder.tokens([query]), is_word)
        scores = np.full(len(passages), -1, np.float32)
        encodings = self.encoder.tokens(passages)
        for group in passes(encodings, PASS_TOKENS):
            if request.is_cancelled():
                return None
            for i, words in zip(group, self.vectors([encodings[i] for i in group])):
                # Text without a word in it answers nothing.
                if len(asked) and len(words):
                    scores[i] = (asked @ words.T).max(1).mean()
        return scores

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
