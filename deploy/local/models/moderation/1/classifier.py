"""A few-shot classifier over all-MiniLM-L6-v2: is a text safe or unsafe?

At load it learns from the texts of prototypes.json, some thirty of a kind: a logistic regression on their embeddings.
A text is read sentence by sentence; the most unsafe one decides.

It is there so that pipelines can be tried with a model that behaves like a moderation model, and no more than that: it
knows English and the topics of its prototypes (threats, weapons, drugs, crime, hate, self-harm), it can be talked around
by whoever wants to. It is right on 3 of 4 of its own prototypes when it has not learnt from that one (many of the safe
ones are there to mislead: "How do I kill a process?"). Use a real moderation model where it matters.
"""
import json
import pathlib
import re

import numpy as np
from encoder import Encoder, passes

# In one vector for more than a sentence a threat drowns in what is around it.
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
# What has no end of a sentence within this many tokens is read in windows that share some.
WINDOW, OVERLAP = 64, 16
# Of one pass: a sixteenth of a second on two cores, which is what cancelled requests may still cost. About 15 sentences:
# on a CPU larger batches gain nothing.
PASS_TOKENS = 256


class Cancelled(Exception):
    """Nobody waits for the answers any more."""


class Classifier:
    def __init__(self):
        self.encoder = Encoder(WINDOW, OVERLAP)
        prototypes = json.loads((pathlib.Path(__file__).parent / "prototypes.json").read_text("utf-8"))
        safe, unsafe = (prototypes[label] for label in prototypes["labels"])
        vectors = self.encoder.embed(self.encoder.tokens(safe + unsafe))
        self.weights, self.bias = logistic_regression(vectors, np.repeat([0.0, 1.0], [len(safe), len(unsafe)]))

    def scores(self, texts, is_cancelled=lambda: False):
        """Probabilities of safe and of unsafe for each text, together 1. Raises `Cancelled`."""
        unsafe = self.unsafe(texts, is_cancelled)
        return np.stack([1 - unsafe, unsafe], 1)

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
