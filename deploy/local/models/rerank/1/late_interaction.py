"""Late interaction over all-MiniLM-L6-v2: how well each of some passages answers a query, from -1 to 1.

Scored as ColBERT does (Khattab and Zaharia, SIGIR 2020, https://arxiv.org/abs/2004.12832: "MaxSim"): query and passage
are encoded apart, every token of the query finds its most similar token of the passage, and the mean of these cosines is
the score; a question mark asks nothing, so punctuation of the query is left out. It sees which words of a question a
passage speaks of, where one vector a text only sees what both are about.
What it is not: MiniLM was trained for one vector a text, not for this, and no token of the query meets the passage inside
the network, as in a cross-encoder, which is better and about as many times slower as there are queries for a passage.
"""
import numpy as np
from encoder import Encoder, passes, unit

# Of one pass: a sixteenth of a second on two cores, which is what a cancelled request may still cost. One of the longest
# passages, or a dozen of short ones: on a CPU larger batches gain nothing.
PASS_TOKENS = 256


def is_word(token):
    return any(character.isalnum() for character in token)


class LateInteraction:
    def __init__(self):
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

    def scores(self, query, passages, is_cancelled=lambda: False):
        """A score for each passage; None as soon as nobody waits for them any more."""
        (asked,) = self.vectors(self.encoder.tokens([query]), is_word)
        scores = np.full(len(passages), -1, np.float32)
        encodings = self.encoder.tokens(passages)
        for group in passes(encodings, PASS_TOKENS):
            if is_cancelled():
                return None
            for i, words in zip(group, self.vectors([encodings[i] for i in group])):
                # Text without a word in it answers nothing.
                if len(asked) and len(words):
                    scores[i] = (asked @ words.T).max(1).mean()
        return scores
