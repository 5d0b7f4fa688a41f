"""The models of the embedded stack for servers other than its Triton: their own code, of deploy/local/models."""

import pathlib
import sys

MODELS = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "local" / "models"
sys.path += [str(MODELS / model / "1") for model in ("minilm", "rerank", "moderation")]

from classifier import Classifier  # noqa: E402
from encoder import Encoder  # noqa: E402
from late_interaction import LateInteraction  # noqa: E402

# Of the scores of `Moderation`, in their order.
LABELS = ("safe", "unsafe")


class MiniLm:
    def __init__(self):
        self.encoder = Encoder()

    def vectors(self, texts):
        return self.encoder.embed(self.encoder.tokens(texts)).tolist()


class Rerank:
    def __init__(self):
        self.model = LateInteraction()

    def scores(self, query, texts):
        return self.model.scores(query, texts).tolist()

    def of_pairs(self, pairs):
        """A score for each `{"query", "text"}`. All have one query, unless several calls are in one request."""
        scores = [0.0] * len(pairs)
        for query in dict.fromkeys(pair["query"] for pair in pairs):
            own = [at for at, pair in enumerate(pairs) if pair["query"] == query]
            for at, score in zip(own, self.scores(query, [pairs[at]["text"] for at in own])):
                scores[at] = score
        return scores


class Moderation:
    def __init__(self):
        self.model = Classifier()

    def scores(self, texts):
        """For each text its scores in the order of `LABELS`."""
        return self.model.scores(texts).tolist()

    def by_label(self, text):
        return dict(zip(LABELS, self.scores([text])[0]))
